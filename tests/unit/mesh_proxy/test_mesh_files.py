from pathlib import Path

import pytest

from mesh_model.meshfile import MeshFileError
from mesh_proxy.mesh_files import MeshFileUnreadable, read_table
from tests.fakes.meshes import SHOP


def in_pieces(folder: Path) -> None:
    head, _, nodes = SHOP.partition("virtualNodes:\n")
    (folder / "20-nodes.yml").write_text(f"virtualNodes:\n{nodes}")
    (folder / "10-mesh.yaml").write_text(head)
    (folder / "README.md").write_text("no mesh")


def test_a_folder_is_read_as_one_mesh(tmp_path: Path) -> None:
    whole = tmp_path / "whole.yaml"
    whole.write_text(SHOP)
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    in_pieces(pieces)
    assert read_table(pieces, "web") == read_table(whole, "web")


def test_problems_name_the_file_in_the_folder(tmp_path: Path) -> None:
    in_pieces(tmp_path)
    (tmp_path / "30-more.json").write_text('{\n"virtualNodes": [{"virtualNodeName": "web", "spec": {}}]}')
    with pytest.raises(MeshFileError) as caught:
        read_table(tmp_path, "web")
    assert str(caught.value).startswith(
        f"{tmp_path / '30-more.json'}:2: virtualNodes[0].virtualNodeName: a virtual node `web` was"
    )


@pytest.mark.parametrize("what", ["nowhere", "empty"])
def test_what_is_not_there_is_told(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MeshFileUnreadable, match=what):
        read_table(tmp_path / what, "web")
