"""A second checker of evidence bundles, written from proto/PROTOCOL.md and proto/*.proto alone.

It shares no code with the programs: what both say of a bundle must be the same, or one of them (or the page) is wrong.
`check.check_bundle` is the way in; `report` prints what it found."""
