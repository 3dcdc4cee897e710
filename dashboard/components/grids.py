"""Large tables: AG Grid with our theme; cells are drawn as text by assets/grids.js."""

import json
from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag

LOOK = {
    "fontFamily": "inherit",
    "fontSize": 13,
    "headerFontSize": 12,
    "headerFontWeight": 550,
    "rowHeight": 36,
    "headerHeight": 34,
    "cellHorizontalPadding": 12,
    "backgroundColor": "var(--surface)",
    "foregroundColor": "var(--text)",
    "headerBackgroundColor": "var(--surface)",
    "headerTextColor": "var(--dim)",
    "headerColumnResizeHandleColor": "transparent",
    "borderColor": "var(--line)",
    "rowHoverColor": "var(--sunken)",
    "accentColor": "var(--accent)",
    "wrapperBorder": False,
    "columnBorder": False,
    "browserColorScheme": "inherit",
}
THEME = f"themeQuartz.withParams({json.dumps(LOOK)})"


def column(
    field: str,
    title: str,
    *,
    numeric: bool = False,
    link: str = "",
    bar: bool = False,
    mark: str = "",
    badge: str = "",
    short: int = 0,
    sort_by: str = "",
    **more: Any,
) -> dict[str, Any]:
    """Return one column; ``link``, ``badge`` and ``sort_by`` name other fields of the row."""
    made: dict[str, Any] = {"field": field, "headerName": title, "sortable": True} | more
    if numeric:
        made |= {"headerClass": "ag-right-aligned-header", "cellClass": "ag-right-aligned-cell"}
    if link or bar or mark or badge:
        made["cellRenderer"] = "MeshscopeCell"
        made["cellRendererParams"] = {"link": link, "bar": bar, "mark": mark, "badge": badge, "short": short}
    if sort_by:
        made["comparator"] = {"function": f"meshscopeBy('{sort_by}')(valueA, valueB, nodeA, nodeB)"}
    return made


def grid(key: str, columns: Sequence[dict[str, Any]], *, row_id: str) -> Any:
    """Return a table whose rows keep their identity, and with it selection and scroll, when new ones arrive."""
    options = {
        "theme": {"function": THEME},
        "suppressCellFocus": False,
        "animateRows": False,
        "suppressMovableColumns": True,
        "enableCellTextSelection": True,
        "suppressNoRowsOverlay": True,
        "domLayout": "autoHeight",
    }
    return dag.AgGrid(
        id=key,
        columnDefs=list(columns),
        rowData=[],
        getRowId=f"params.data.{row_id}",
        defaultColDef={"resizable": True, "suppressHeaderMenuButton": True},
        dashGridOptions=options,
        className="grid",
        style={"height": None},
    )
