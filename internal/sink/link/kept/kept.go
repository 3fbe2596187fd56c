// Package kept reads what an earlier agent has kept on disk, which no source tells once more.
//
// # Invariants
//
//   - A record that cannot be read keeps no other from being read. The log names it.
//   - The table that records are read into is synced then: there is no more to come.
//
// # Example
//
//	err := kept.Read(db, log, records, "leases", "its NIC asks for an address anew", lease.Leases, func(tx *state.Tx, r record) {
//		lease.Leases.Put(tx, r.row())
//	})
package kept

import (
	"fmt"
	"log/slog"

	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/state"
)

// Read puts the records of a folder into a table, and marks it synced. of names them in messages, loss says what follows where one is damaged.
func Read[R any](db *state.DB, log *slog.Logger, records journal.Dir[R], of, loss string, t interface{ MarkSynced(tx *state.Tx) }, put func(tx *state.Tx, r R)) error {
	list, damaged, err := records.All()
	if err != nil {
		return fmt.Errorf("read records of %s: %w", of, err)
	}
	for _, one := range damaged {
		log.Error("a record is lost", "of", of, "so", loss, "error", one)
	}
	return db.Write(func(tx *state.Tx) error {
		for _, r := range list {
			put(tx, r.Value)
		}
		t.MarkSynced(tx)
		return nil
	})
}
