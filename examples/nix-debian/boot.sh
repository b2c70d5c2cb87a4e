# Makes a patchelf that runs inside Nix's sandbox, where there is nothing but busybox, which runs this.
# shellcheck shell=busybox disable=SC2154 # the attributes of the derivation are variables here
set -o pipefail
tools=$NIX_BUILD_TOP/tools
"$busybox" mkdir -p "$tools" "$out/bin"
"$busybox" --install -s "$tools"
PATH=$tools

for deb in $debs; do
    ar p "$deb" data.tar.xz | xz -dc | tar -x -o -C "$NIX_BUILD_TOP"
done
find "$NIX_BUILD_TOP/lib" "$NIX_BUILD_TOP/usr/lib" -name '*.so*' ! -type d -exec cp -P {} "$out/bin" \;
cp "$NIX_BUILD_TOP/usr/bin/patchelf" "$out/bin/program"
linker=$(basename "$(find "$out/bin" -name 'ld-linux-*')")
cat > "$out/bin/patchelf" <<END
#!$busybox sh
exec "$out/bin/$linker" --library-path "$out/bin" "$out/bin/program" "\$@"
END
chmod 755 "$out/bin/patchelf"
