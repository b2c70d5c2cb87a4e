# Evaluates attributes of a pinned flake, all at once, and builds nothing. An attribute that is not there, is no package,
# or throws is told as such and does not keep the others from being told; other errors end it (builtins.tryEval).
question:
let
  flake = builtins.getFlake question.url;
  sets = map (kind: (flake.${kind} or { }).${question.system} or { }) [ "packages" "legacyPackages" ];

  # "a.b" is the attribute of that name, else b of a.
  parts = name: builtins.filter builtins.isString (builtins.split "\\." name);
  walk = keys: set:
    builtins.foldl' (at: key: if builtins.isAttrs at && at ? ${key} then at.${key} else null) set keys;
  found = name: builtins.filter (one: one != null)
    (builtins.concatMap (set: [ (walk [ name ] set) (walk (parts name) set) ]) sets);
  init = list: builtins.genList (builtins.elemAt list) (builtins.length list - 1);
  beside = name: builtins.concatMap
    (set:
      let around = walk (init (parts name)) set;
      in if builtins.isAttrs around then
        map (key: builtins.concatStringsSep "." (init (parts name) ++ [ key ])) (builtins.attrNames around)
      else builtins.attrNames set)
    sets;

  text = value: if builtins.isString value then value else "";
  describe = package:
    let outputs = package.meta.outputsToInstall or [ (builtins.head (package.outputs or [ "out" ])) ];
    in {
      drv = package.drvPath;
      inherit outputs;
      paths = map (output: package.${output}.outPath or package.outPath) outputs;
      program = text (package.meta.mainProgram or "");
      version = text (package.version or "");
    };
  tried = value: let answer = builtins.tryEval (builtins.deepSeq value value);
    in if !question.safe then value else if answer.success then answer.value else { failed = true; };

  answer = name:
    let package = builtins.head (found name);
    in tried (
      if found name == [ ] then { absent = beside name; }
      else if builtins.isAttrs package && package ? drvPath then describe package
      else {
        other = builtins.typeOf package;
        inside = if builtins.isAttrs package then builtins.attrNames package else [ ];
      }
    );

  names = builtins.concatMap builtins.attrNames sets;
  # Who has which program can be asked of a small set only: of nixpkgs it would take minutes.
  program = set: name: tried (let package = set.${name}; in
    if builtins.isAttrs package && package ? drvPath
    then { inherit name; inherit (describe package) program paths; }
    else { failed = true; });
  programs = if !question.programs || builtins.length names > 300 then [ ]
    else builtins.filter (one: !(one ? failed)) (builtins.concatMap (set: map (program set) (builtins.attrNames set)) sets);
in
{
  packages = builtins.listToAttrs (map (name: { inherit name; value = answer name; }) question.asked);
  present = builtins.filter (name: (builtins.tryEval (found name != [ ])).value) question.hints;
  inherit programs;
  # Forces the flake, also where nothing is asked of it.
  size = builtins.length names;
}
