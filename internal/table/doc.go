// Package table is the schema: every row that Weftnet keeps, and nothing that acts. Read it first.
//
// Input tables hold facts as a source last saw them (Kubernetes objects, CNI attachments, devices). Desired tables hold what should be, each a pure
// function of the inputs (internal/derive). Status tables hold what a sink realised (internal/reconcile) and what an engine has to say to people.
// Each row is immutable, prints itself, and has one writer. Example: CNI ADD puts an Attachment; derivations make a Link, an identity claim, a NIC,
// Hooks; sinks realise them; when all are done, the Ready row appears for which the ADD waits.
//
// A table is one file: its row, how a row prints, its key and indexes, and the declaration that puts it into every
// database. A new table is such a file and a field of Tables. A table that one derivation alone needs, to remember what its
// rows depend on, is declared beside that derivation (Declare).
package table
