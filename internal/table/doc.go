// Package table is the schema: every row that Weftnet keeps, and nothing that acts. Read it first.
//
// Input tables hold facts as a source last saw them (Kubernetes objects, CNI attachments, devices). Desired tables
// hold what should be, each a pure function of the inputs (internal/derive). Status tables hold what a sink realised
// (internal/reconcile) and what an engine has to say to people. Each row is immutable, prints itself, and has one
// writer. Example: CNI ADD puts an Attachment; derivations make a Link, an identity claim, a NIC, Hooks; sinks realise
// them; when all are done, the Ready row appears for which the ADD waits.
package table
