# Hermetic packages made of Debian's .deb files, for those who have no nixpkgs at hand; needs ./fetch-debs to have run.
{
  description = "Packages made of Debian's .deb files";

  outputs = { self }:
    let
      pins =
        if builtins.pathExists ./debs.json then
          builtins.fromJSON (builtins.readFile ./debs.json)
        else
          throw "there is no debs.json: run ./fetch-debs, and name the flake path:DIRECTORY (Git ignores the files)";

      set = import ./packages.nix { inherit pins; debs = ./debs; };
    in
    {
      packages.${set.system} = set.packages // {
        make = set.packages.gnumake;
        awk = set.packages.gawk;
        tr = set.packages.coreutils;
      };
    };
}
