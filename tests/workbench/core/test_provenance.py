from dataclasses import dataclass

from workbench.core.provenance import facts_of, versions


@dataclass(frozen=True)
class Asked:
    weights: str = "demo"
    device: str = "auto"
    seed: int = 3


def test_facts_say_what_was_used_in_place_of_what_was_asked_for():
    facts = facts_of(Asked(), weights="demo.safetensors", weights_sha256="ab12", device="cpu (no GPU)")
    assert facts == {
        "weights": "demo.safetensors", "weights sha256": "ab12", "device": "cpu (no GPU)", "seed": 3, **versions(),
    }  # fmt: skip
    assert list(facts)[:4] == ["weights", "weights sha256", "device", "seed"]
    assert facts_of(Asked(), scene="a.hdr")["device"] == "auto"
