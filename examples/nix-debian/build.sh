# Makes one package: unpack, merge usr into the root, drop what no program reads, bind every program to the store.
# Run by busybox sh; does not know which package it makes, beyond the lines its recipe gives (see recipes.nix).
# shellcheck shell=busybox disable=SC2154 # the attributes of the derivation are variables here
set -o pipefail
tools=$NIX_BUILD_TOP/tools
"$busybox" mkdir -p "$tools"
"$busybox" --install -s "$tools"
export PATH="$tools"
here=lib/$triplet

fail() {
    echo "error: $*" >&2
    exit 1
}

unpack() {
    local root="$NIX_BUILD_TOP/root" deb top
    mkdir -p "$root" "$out"
    for deb in $debs; do
        ar p "$deb" data.tar.xz | xz -dc | tar -x -o -C "$root"
    done
    for top in "$root/usr" "$root"; do
        for part in bin sbin lib lib64 share include etc; do
            [ -d "$top/$part" ] && [ ! -L "$top/$part" ] || continue
            mkdir -p "$out/$part"
            cp -a "$top/$part/." "$out/$part/"
        done
    done
    chmod -R u+w "$out"
    cd "$out" || exit
    rm -rf etc sbin lib64 "$here/gconv"
    (cd lib 2> /dev/null && rm -rf systemd binfmt.d valgrind mime debug bfd-plugins compat-ld gold-ld) || true
    (cd share 2> /dev/null && rm -rf man doc info locale lintian bug doc-base menu applications pixmaps icons gdb gcc \
        bash-completion binfmts) || true
}

# A link that means nothing here may mean a file of a package that this one uses; else it goes.
settle_links() {
    find . -type l | sort | while read -r link; do
        target=$(readlink "$link")
        case $target in
            "$NIX_STORE"/*) continue ;;
            /*) file=${target#/usr} ;;
            *) [ ! -e "$link" ] || continue
                file=$(readlink -f "${link%/*}/$target" || true)
                file=${file#"$out"} ;;
        esac
        rm "$link"
        for root in "$out" $libraries; do
            if [ -n "$file" ] && [ -e "$root$file" ]; then
                ln -s "$root$file" "$link"
                break
            fi
        done
    done
}

# Programs that are scripts start with the set's bash; where there is none, and for other languages, they go. Elsewhere
# a script is a module with a habit.
settle_scripts() {
    find . -type f -perm -100 | sort | while read -r file; do
        [ "$(head -c 2 "$file")" = '#!' ] || continue
        line=$(head -n 1 "$file")
        case $file:$line in
            *":#!$NIX_STORE"/*) ;;
            ./bin/*:'#!'*/sh | ./bin/*:'#!'*/sh' '* | ./bin/*:'#!'*/bash | ./bin/*:'#!'*/bash' '*)
                if [ -n "$bash" ]; then
                    sed -i "1s|^#! *[^ ]*/|#!$bash/bin/|" "$file"
                else
                    rm "$file"
                fi
                ;;
            ./bin/*) rm "$file" ;;
            *) chmod a-x "$file" ;;
        esac
    done
}

# Every program and library names its dynamic linker and the folder of each library it asks for; only those, so that a
# closure holds nothing unused. A library that no package of the list brings is an error here, not at run time.
bind_programs() {
    local search="$out/$here $out/lib" root
    for root in $libraries; do
        search="$search $root/$here $root/lib $(echo "$root/$here"/*/)"
    done
    search="$search $(echo "$out/$here"/*/)"
    find . -type f \( -perm -100 -o -name '*.so' -o -name '*.so.*' \) | sort | while read -r file; do
        [ "$(head -c 4 "$file" | tail -c 3)" = ELF ] || continue
        needed=$("$patchelf" --print-needed "$file" 2> /dev/null) || continue
        path=
        for name in $needed; do
            found=
            for folder in $search; do
                [ -e "$folder/$name" ] && found=${folder%/} && break
            done
            [ -n "$found" ] || fail "$file needs $name, which is in no package that it uses (see packages.list)"
            case ":$path:" in *":$found:"*) ;; *) path=$path${path:+:}$found ;; esac
        done
        if linker=$("$patchelf" --print-interpreter "$file" 2> /dev/null); then
            "$patchelf" --set-interpreter "$glibc/$here/${linker##*/}" --set-rpath "$path" "$file"
        elif [ -n "$path" ]; then
            "$patchelf" --set-rpath "$path" "$file"
        fi
    done
}

unpack
eval "$recipe"
settle_links
settle_scripts
if [ -n "$patchelf" ]; then
    bind_programs
fi
eval "$finish"
find . -depth -type d -exec rmdir {} \; 2> /dev/null || true
[ -d "$out" ] || fail "nothing is left of $debs"
