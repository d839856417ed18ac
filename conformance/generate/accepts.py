"""What the clauses that refuse let pass: for each, the nearest requests that are right."""

from __future__ import annotations

from craft import Area

ACCEPTED = {
    "AMT-08": "AMT-05/int-1 AMT-01/int-0-of-10",
    "AMT-09": "AMT-02/half-of-1 AMT-01/int-3-of-10",
    "AMT-10": "AMT-01/int-0-of-10 AMT-05/float-1",
    "AMT-14": "AMT-13/0.8-of-100-live-20 AMT-13/0.75-of-100-live-25 ITER-02/targets",
    "AMT-16": "AMT-13/target-on-top AMT-05/one-entry",
    "NUM-12": "SCORE-07/bool-values NUM-15/uint8",
    "NUM-13": "NUM-02/float8_e5m2-special-2 NUM-15/int8",
    "NUM-16": "SCORE-05/signed SCORE-04/magnitude",
    "MASK-03": "MASK-01/stays MASK-02/zeros METH-04/alone-prior",
    "MASK-04": "MASK-02/two-tensors METH-04/alone-fresh",
    "SCORE-02": "SCORE-01/replace SCORE-03/nan",
    "SCORE-03": "SCORE-01/module SCORE-01/replace",
    "SCORE-08": "SCORE-01/module",
    "METH-02": "METH-01/l1 METH-03/identity REP-01/global",
    "METH-09": "METH-05/row METH-05/column",
    "METH-11": "METH-10/fro-1 METH-10/Infinity-1 METH-10/0.5-1",
    "REP-07": "REP-06/permanent REP-06/after-change",
    "ERR-03": "AMT-05/one-entry REP-01/names",
    "ERR-04": "REP-01/names REP-01/global",
    "ERR-05": "REP-01/names REP-10/pair-twice",
    "FILE-06": "FILE-04/plain FILE-04/empty",
    "DEV-03": "REP-01/global REP-05/rounds",
    "DEV-09": "AMT-05/one-entry REP-01/names",
    "DEV-13": "REP-01/names REP-10/pair-twice",
    "DEV-15": "REP-01/names REP-01/global",
    "DEV-17": "AMT-05/int-1 AMT-01/int-0-of-10",
    "DEV-19": "AMT-01/int-0-of-10 AMT-05/float-1",
    "DEV-23": "NUM-15/uint8",
    "DEV-31": "SCORE-01/module SCORE-01/replace",
    "DEV-32": "SCORE-01/module SCORE-01/replace",
    "DEV-33": "SCORE-01/replace SCORE-03/nan",
    "DEV-37": "SCORE-07/bool-values",
    "DEV-41": "METH-04/custom METH-04/alone-prior",
    "DEV-43": "METH-08/last METH-08/first",
}


def cite(areas: list[Area]) -> None:
    """Let the vectors named above cite the clauses that let them pass."""
    vectors = {vector["id"]: vector for area in areas for vector in area.vectors}
    for clause, idents in ACCEPTED.items():
        for ident in idents.split():
            vector = vectors[ident]
            assert "error" not in vector["expect"], ident
            if clause not in vector["clauses"]:
                vector["clauses"].append(clause)
