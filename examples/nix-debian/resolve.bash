# Which Debian packages make up which attribute: packages.list read, and apt asked for what each needs; fetches nothing.
# shellcheck shell=bash disable=SC2034 # fetch-debs reads what is set here

declare -a roots=() skipped=() members=()          # members: "pattern attribute", in order of packages.list
declare -A root_of=()                              # attribute → the Debian package it is named after
read_list() {
    local attribute name names_text
    local -a names
    while read -r attribute names_text; do
        [[ -z $attribute || $attribute == '#'* ]] && continue
        read -r -a names <<< "$names_text"
        if [[ $attribute == - ]]; then
            skipped+=("${names[@]}")
            continue
        fi
        if [[ -z ${root_of[$attribute]:-} ]]; then
            root_of[$attribute]=${names[0]}
            roots+=("${names[0]}")
        fi
        for name in "${names[@]}"; do
            members+=("${name#+} $attribute")
            [[ $name != +* ]] || roots+=("${name#+}")
        done
    done < packages.list
}

declare -A version=() sha256=() depends=()           # of packages; depends as "a,b|c,d"

# read_index NAME... -- ask apt for these packages and for all they may depend on; two calls, as each takes a second.
read_index() {
    local name a_version a_sha256 a_depends
    local -a names
    mapfile -t names < <(
        apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
            --no-enhances "$@" | grep '^[a-z0-9]' | sort -u
    )
    ((${#names[@]})) || fail "apt knows none of the packages" "apt-get update"
    while IFS=$'\t' read -r name a_version a_sha256 a_depends; do
        version[$name]=$a_version sha256[$name]=$a_sha256 depends[$name]=$a_depends
    done < <(records "${names[@]}")
}

# records NAME... -- a line for each package that apt can fetch: name, version, sha256, what it depends on.
records() {
    # Names that exist only as "Provides" of others have no record, about which apt complains.
    { apt-cache show --no-all-versions "$@" 2> /dev/null || true; } | awk '
        function value() { sub(/^[^:]*: */, ""); return $0 }
        /^Package:/ { name = value() }
        /^Version:/ { version = value() }
        /^SHA256:/ { sha256 = value() }
        /^(Pre-)?Depends:/ { depends = depends (depends ? "," : "") value() }
        /^$/ {
            gsub(/\([^)]*\)|:any| /, "", depends)
            if (name && sha256) printf "%s\t%s\t%s\t%s\n", name, version, sha256, depends
            name = version = sha256 = depends = ""
        }'
}

is_skipped() {
    local pattern
    for pattern in "${skipped[@]}"; do
        # shellcheck disable=SC2053 # the right side is a pattern
        [[ $1 == $pattern ]] && return
    done
    return 1
}

declare -A chosen=() libraries=()                  # package → attribute; attribute → those it uses, repeats too
# choose NAME... -- walk what is needed; of alternatives the first that apt has and packages.list does not rule out.
choose() {
    local name entry alternative
    local -a queue=("$@") alternatives
    while ((${#queue[@]})); do
        name=${queue[0]} queue=("${queue[@]:1}")
        [[ -n ${chosen[$name]:-} ]] && continue
        [[ -n ${version[$name]:-} ]] || fail "apt knows no package $name" "apt-get update"
        chosen[$name]=$(attribute_of "$name")
        for entry in ${depends[$name]//,/ }; do
            IFS='|' read -r -a alternatives <<< "$entry"
            for alternative in "${alternatives[@]}"; do
                if [[ -z ${version[$alternative]:-} ]] || is_skipped "$alternative"; then continue; fi
                libraries[${chosen[$name]}]+=" $(attribute_of "$alternative")"
                queue+=("$alternative")
                break
            done
        done
    done
}

attribute_of() {
    local member
    for member in "${members[@]}"; do
        # shellcheck disable=SC2053 # the right side is a pattern
        [[ $1 == ${member% *} ]] && printf '%s' "${member#* }" && return
    done
    printf '%s' "$1"
}
