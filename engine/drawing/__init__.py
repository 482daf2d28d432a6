"""Pictures of a chart with its current states marked: Mermaid and SVG."""
