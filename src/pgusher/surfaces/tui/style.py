"""How the parts of the screen lie, in Textual's own language."""

from __future__ import annotations

STYLE = """
Screen { background: ansi_default; color: ansi_default; layers: base; }
#head { height: auto; max-height: 7; padding: 0 1; }
#when { height: 1; padding: 0 1; }
#body { height: 1fr; }
#map { width: 50; height: 100%; padding: 1 1 0 1; }
#table { height: 1fr; background: ansi_default; scrollbar-size: 0 1; }
#map, #chain, #findings { text-wrap: nowrap; text-overflow: clip; }
#chain { height: auto; max-height: 9; padding: 1 1 0 1; }
#findings { height: auto; max-height: 5; padding: 1 1 0 1; }
.ascii #table { scrollbar-size: 0 0; }
#only { height: 1; border: none; padding: 0 1; display: none; background: ansi_default; }
#only.asked { display: block; }
.narrow #body { layout: vertical; }
.narrow #map { width: 100%; height: auto; max-height: 7; padding: 0 1; }
.narrow #chain { max-height: 6; padding: 0 1; }
.narrow #findings { max-height: 3; padding: 0 1; }
DataTable > .datatable--header { background: ansi_default; text-style: dim; }
DataTable > .datatable--cursor { text-style: reverse; background: ansi_default; color: ansi_default; }
Footer { background: ansi_default; }
"""
