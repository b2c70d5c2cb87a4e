# What single packages need beyond unpacking, as lines of shell for build.sh; does not know versions.
#
# recipe: run in $out after unpacking. finish: run after all programs are bound to the store. program: what `nix run`
# starts, where it is not named like the attribute ("": nothing). verbatim: no file is bound to anything.
rec {
  # Not an attribute, but what all Python modules have in common. Debian's lie in dist-packages, which only Debian's own
  # Python reads; its programs would start with a Python that does not find them.
  module = {
    program = "";
    recipe = ''
      site=lib/$(basename "$python3"/lib/python3.*)/site-packages
      mkdir -p "$site"
      for folder in lib/python3/dist-packages lib/python3.*/dist-packages; do
        if [ -d "$folder" ]; then cp -a "$folder/." "$site/"; fi
      done
      rm -rf bin include lib/python3 lib/python3.*/dist-packages "$site"/*.pth
      find "$site" -type d -name tests -prune -exec rm -rf {} +
    '';
    finish = ''
      PYTHONHASHSEED=0 "$python3/bin/python3" -m compileall -q --invalidation-mode unchecked-hash "$out/$site"
      for module in $modules; do
        for entry in "$module/$site"/*; do
          link=$site/''${entry##*/}
          [ -e "$link" ] || ln -s "$entry" "$link"
        done
      done
    '';
  };

  # The dynamic linker may not be touched, and libraries here find each other through whoever needs them. The locale
  # C.UTF-8 is here for LOCPATH: glibc itself looks only in /usr/lib/locale.
  glibc = {
    program = "";
    verbatim = true;
    recipe = "rm -rf bin share";
  };

  busybox = {
    verbatim = true;
    finish = ''
      for name in $("$busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "bin/$name"
      done
    '';
  };

  bash = {
    recipe = "rm -rf share bin/rbash bin/bashbug bin/clear_console";
    finish = "ln -s bash bin/sh";
  };

  gawk = {
    recipe = "rm -rf share";
    finish = "ln -s gawk bin/awk";
  };

  bubblewrap.program = "bwrap";
  coreutils.program = "";
  findutils.program = "find";
  gnugrep.program = "grep";
  gnumake.program = "make";
  gnused.program = "sed";
  gnutar.program = "tar";

  python3 = {
    recipe = ''
      rm -rf share lib/python3 lib/python3.*/test lib/python3.*/dist-packages lib/python3.*/sitecustomize.py
      rm -rf lib/python3.*/pydoc_data lib/python3.*/lib-dynload/nis.* lib/python3.*/lib-dynload/_test*
      rm -rf lib/python3.*/lib-dynload/xxlimited*
      version=$(basename lib/python3.*)
      find bin -mindepth 1 ! -name "$version" -exec rm {} +
      ln -s "$version" bin/python3
      ln -s "$version" bin/python
      # Threads end through a library that glibc looks for only when the first one does, in Debian's folders.
      "$patchelf" --add-needed libgcc_s.so.1 "bin/$version"
    '';
    finish = ''
      PYTHONHASHSEED=0 bin/python3 -m compileall -q --invalidation-mode unchecked-hash "$out/lib"
    '';
  };

  # $out is what /usr is on Debian (--sysroot), with links to glibc's libraries. What it compiles is bound to glibc, as
  # the set's own programs are. Left out: C++, link-time optimization, sanitizers, static libraries.
  gcc = {
    recipe = ''
      inner=$(basename lib/gcc/*/*)
      rm -rf share lib/gcc/*/*/plugin lib/gcc/*/*/lto1 lib/gcc/*/*/libcc1* bin/c89-gcc bin/c99-gcc
      find bin \( -name '*gp-*' -o -name '*gprof*' -o -name '*gcov*' -o -name '*lto-dump*' -o -name '*gold' \
        -o -name '*dwp' -o -name '*gcc-*-*' -o -name 'gcc-[anr]*' \) -exec rm {} +
      find lib -name '*.a' -size +100k ! -name libgcc.a -exec rm {} +
      for library in "$glibc/$here"/*.so.*; do
        ln -s "$library" "$here/" 2> /dev/null || true
      done
      ln -s "$glibc/$here"/ld-linux-* lib/
      ln -s lib lib64
      ln -s . usr
    '';
    finish = ''
      place=lib/gcc/$triplet/$inner
      folder_of() {
        dirname "$(readlink -f "$(find "$place" "$here" -name "lib$1.so" | grep . || fail "there is no lib$1")")"
      }
      linker=$(echo "$glibc/$here"/ld-linux-*)
      cat > "$place/specs" <<END
      *link:
      + %{!shared:-dynamic-linker $linker} -rpath $glibc/$here %{fopenmp:-rpath $(folder_of gomp)}

      END
      for name in gcc cc cpp; do
        case $name in cpp) program=cpp ;; *) program=gcc ;; esac
        rm -f "bin/$name"
        cat > "bin/$name" <<END
      #!$bash/bin/bash
      # Debian's program; it looks for headers and libraries in this package, and its specs bind what it links to glibc.
      bind=()
      for word do
          case \$word in
              -latomic) bind+=(-Wl,-rpath,$(folder_of atomic)) ;;
              -lcrypt) bind+=(-Wl,-rpath,$(folder_of crypt)) ;;
              -lgomp) bind+=(-Wl,-rpath,$(folder_of gomp)) ;;
              -lquadmath) bind+=(-Wl,-rpath,$(folder_of quadmath)) ;;
          esac
      done
      exec $out/bin/$triplet-$program-$inner -B$out/bin/ --sysroot=$out "\''${bind[@]}" "\$@"
      END
        chmod 755 "bin/$name"
        ln -sf "$name" "bin/$name-$inner"
        ln -sf "$name" "bin/$triplet-$name"
      done
    '';
  };

  # Debian keeps its data, fonts and settings outside of the module.
  matplotlib = module // {
    recipe = module.recipe + ''
      data=$site/matplotlib/mpl-data
      mv share/matplotlib/mpl-data "$data"
      rm -rf share "$site/matplotlib/backends/web_backend"
      sed -i "s|yield '/etc/matplotlibrc'|yield os.path.join(get_data_path(), 'matplotlibrc')|" \
        "$site/matplotlib/__init__.py"
    '';
  };
}
