"""Mutants of SPEC.md 10 to 12: modules, errors, files."""

import hashlib

import numpy as np
from multiprune_conformance import oracle, oracle_implementation
from multiprune_conformance.oracle_dtypes import Refused, Typed
from multiprune_conformance.oracle_module import Module
from mutants import breaks

pack = oracle.pack
prune_step = Module._prune
ask, state, whole_step = Module._ask, Module.state, Module.step
write, remove = Module._set, Module._remove
read = oracle_implementation.read_file


@breaks("REP-03", "oracle_module._masked")
def multiplies(data, mask):
    with np.errstate(all="ignore"):
        return (data.view(np.float32) * mask.astype(np.float32)).view(np.uint32)


@breaks("REP-04", "oracle_module.Module._set")
def never_looks_at_originals(self, step):
    name = step["name"]
    self.stale = getattr(self, "stale", {})
    self.stale[name] = self.arrays[self.owner[name]]


@breaks("REP-05", "oracle_module.Module._prune")
def overwrites_originals(self, step):
    prune_step(self, step)
    for name, mask in self.masks.items():
        array = self.arrays[self.owner[name]]
        self.arrays[self.owner[name]] = Typed(array.name, np.where(mask, array.data, 0))


@breaks("REP-06", "oracle_module.Module._remove")
def removal_forgets_the_values(self, step):
    if step["name"] not in self.masks:
        raise Refused("not-pruned", step["name"])
    del self.masks[step["name"]]


@breaks("REP-07", "oracle_module.Module._remove")
def removal_of_nothing_is_fine(self, step):
    self.masks.pop(step["name"], None)


@breaks("REP-08", "oracle_module.Module._prune")
def zero_sets_up_nothing(self, step):
    prune_step(self, step)
    self.masks = {name: mask for name, mask in self.masks.items() if not mask.all()}


@breaks("REP-10", "oracle_module.Module._prune")
def prunes_name_by_name(self, step):
    for name in step["names"]:
        prune_step(self, dict(step, names=[name]))


@breaks("ERR-01", "oracle_module.Module.step")
def changes_before_it_checks(self, step):
    try:
        if step["do"] == "prune" and isinstance(step["names"], list):
            for name in step["names"]:
                self._check(name)
                array = self.arrays[self.owner[name]]
                self.masks.setdefault(name, np.ones(array.data.shape, dtype=bool))
        getattr(self, f"_{step['do']}")(step)
    except Refused as refused:
        return {"error": refused.kind, "state": self.state()}
    except TypeError:
        return {"error": "parameters-type", "state": self.state()}
    return {"state": self.state()}


@breaks("ERR-06", "oracle_module.Module._check")
def overwrites_names(self, name):
    if name not in self.owner:
        raise Refused("no-such-parameter", name)


@breaks("FILE-01", "oracle.pack")
def highest_bit_first(mask):
    return np.packbits(np.asarray(mask).reshape(-1) == 1).tobytes()


@breaks("FILE-02", "oracle.pack")
def leaves_padding_set(mask):
    flat = np.asarray(mask).reshape(-1) == 1
    padded = np.concatenate([flat, np.ones(-flat.size % 8, dtype=bool)])
    return np.packbits(padded, bitorder="little").tobytes()


@breaks("FILE-03", "oracle.digest")
def digests_bits_only(masks):
    return hashlib.sha256(b"".join(pack(masks[name]) for name in sorted(masks))).hexdigest()


@breaks("FILE-06", "oracle_implementation.read_file")
def believes_files(data):
    try:
        return read(data)
    except Refused:
        return {}


@breaks("FILE-04", "oracle_implementation.read_file")
def loses_shapes(data):
    return {name: mask.reshape(-1) for name, mask in read(data).items()}


@breaks("FILE-05", "oracle_implementation.read_file")
def ignores_format_and_version(data):
    try:
        return read(data)
    except Refused as refused:
        if "version" in str(refused):
            return {}
        raise


@breaks("ITER-01", "oracle_module.Module._prune")
def each_round_begins_anew(self, step):
    for name in step["names"]:
        self.masks.pop(name, None)
    prune_step(self, step)


@breaks("REP-01", "oracle_module.Module.state")
def shows_what_is_pruned(self):
    shown = state(self)
    for parameter in shown.values():
        if parameter["mask"]:
            parameter["mask"]["data"] = [1 - bit for bit in parameter["mask"]["data"]]
    return shown


@breaks("REP-09", "oracle_module.Module._prune")
def zeros_are_masked(self, step):
    for name in step["names"]:
        self.masks.setdefault(name, self.arrays[self.owner[name]].data != 0)
    prune_step(self, step)


@breaks("ERR-04", "oracle_module.Module._prune")
def skips_unknown_names(self, step):
    names = [n for n in step["names"] if not isinstance(n, str) or n in self.owner]
    prune_step(self, dict(step, names=names))


@breaks("ERR-05", "oracle_module.Module._prune")
def a_text_is_one_name(self, step):
    names = [step["names"]] if isinstance(step["names"], str) else step["names"]
    prune_step(self, dict(step, names=names))


@breaks("SCORE-08", "oracle_module.Module._ask")
def drops_scores_of_another_kind(self, step, tensors, names):
    if not isinstance(step.get("scores"), dict):
        step = {key: value for key, value in step.items() if key != "scores"}
    return ask(self, step, tensors, names)


@breaks("DEV-02", "oracle_module.Module.step")
def loses_the_hook_of_the_first(self, step):
    """As torch: a refused local call on a pruned parameter leaves its value as it is for ever."""
    before = state(self)
    told = whole_step(self, step)
    if step["do"] == "prune" and step.get("scope") == "local" and "error" in told:
        self.frozen = {name: before[name]["value"] for name in step["names"]}
    for name, value in getattr(self, "frozen", {}).items():
        told["state"][name]["value"] = value
    return told


@breaks("TIE-03", "oracle_module.Module._ask")
def ranks_by_name_where_there_is_a_list(self, step, tensors, names):
    order = sorted(range(len(names)), key=lambda i: names[i])
    told = ask(self, step, [tensors[i] for i in order], [names[i] for i in order])
    if "masks" in told:
        placed = dict(zip(order, told["masks"], strict=True))
        told["masks"] = [placed[i] for i in range(len(names))]
    return told


@breaks("DEV-11", "oracle_module.Module._set")
def unties_what_is_written_to(self, step):
    self.owner[step["name"]] = step["name"]
    write(self, step)


@breaks("DEV-11", "oracle_module.Module._remove")
def removes_under_all_names(self, step):
    remove(self, step)
    owner = self.owner[step["name"]]
    self.masks = {name: mask for name, mask in self.masks.items() if self.owner[name] != owner}


@breaks("REP-10", "oracle_module.Module._prune")
def takes_the_last_place(self, step):
    """Of a parameter that is listed twice."""
    if not isinstance(step["names"], list):
        prune_step(self, step)
        return
    last = {self.owner.get(name, name): name for name in reversed(step["names"])}
    prune_step(self, dict(step, names=list(last.values())[::-1] + step["names"]))


@breaks("DEV-11", "oracle_module.Module._prune")
def knows_the_mask_of_the_first_name_only(self, step):
    first = {}
    for name in step["names"] if isinstance(step["names"], list) else ():
        first.setdefault(self.owner.get(name), name)
        if first[self.owner.get(name)] != name:
            self.masks.pop(name, None)
    prune_step(self, step)
