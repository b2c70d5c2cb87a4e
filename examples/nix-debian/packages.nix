# From pins to derivations, one for each attribute of debs.json; does not know what a .deb holds (see build.sh).
{ pins, debs }:

let
  inherit (builtins) attrNames concatMap elem filter genericClosure listToAttrs map replaceStrings;

  recipes = import ./recipes.nix;

  # A store path may hold no "~" and no ":".
  legal = replaceStrings [ "~" ":" ] [ "-" "-" ];

  cpu = {
    amd64 = "x86_64";
    arm64 = "aarch64";
  }.${pins.architecture} or (throw "no packages are made for Debian's architecture ${pins.architecture}");
  system = "${cpu}-linux";

  # The first program is Debian's static busybox. Its file must be named busybox, hence the folder.
  busybox = "${debs + "/first"}/busybox";

  # Single files, so that a package depends on its own and not on the whole folder.
  filesOf = name: map (deb: "${debs + "/${deb.file}"}") pins.packages.${name}.debs;

  build = script: attributes: derivation ({
    inherit system busybox;
    triplet = "${cpu}-linux-gnu";
    builder = busybox;
    args = [ "sh" "-e" script ];
  } // attributes);

  # patchelf with its own libraries, started through their dynamic linker; no package refers to it.
  boot = build ./boot.sh {
    name = "patchelf-boot";
    debs = concatMap filesOf [ "patchelf" "glibc" "libstdc++6" ];
  };

  isListed = name: pins.packages.${name}.listed;
  librariesOf = name: pins.packages.${name}.libraries;
  isModule = name: elem "python3" (librariesOf name);

  # All Python modules that a module needs, so that one folder in PYTHONPATH holds what it imports.
  modulesOf = name:
    filter (other: other != name) (map (entry: entry.key) (genericClosure {
      startSet = [{ key = name; }];
      operator = entry: map (key: { inherit key; }) (filter isModule (librariesOf entry.key));
    }));

  package = name:
    let
      version = legal pins.packages.${name}.version;
      recipe = (if isModule name then recipes.module else { }) // recipes.${name} or { };
      when = condition: value: if condition then value else "";
      verbatim = recipe.verbatim or false;
    in
    build ./build.sh {
      name = "${legal name}-${version}";
      debs = filesOf name;
      libraries = map (library: all.${library}) (librariesOf name);
      modules = when (isModule name && isListed name) (map (other: all.${other}) (modulesOf name));
      python3 = when (isModule name) all.python3;
      glibc = when (!verbatim) all.glibc;
      patchelf = when (!verbatim) "${boot}/bin/patchelf";
      # Only what is asked for by name may bring scripts; a library never pulls in a shell.
      bash = when (isListed name && !verbatim && name != "bash") all.bash;
      recipe = recipe.recipe or "";
      finish = recipe.finish or "";
    } // {
      pname = name;
      inherit version;
      meta = if recipe.program or name == "" then { } else { mainProgram = recipe.program or name; };
    };

  all = listToAttrs (map (name: { inherit name; value = package name; }) (attrNames pins.packages));
in
{
  inherit system;
  packages = listToAttrs (map (name: { inherit name; value = all.${name}; }) (filter isListed (attrNames all)));
}
