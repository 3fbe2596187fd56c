package network

import (
	"context"
	"log/slog"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link/found"
	"weftnet.io/weftnet/internal/source/file"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table/network"
)

// FoundLoop looks at NICs that Multus has had made, in namespaces whose paths begin below root.
func FoundLoop(db *state.DB, root string) (*reconcile.Loop[network.Other], error) {
	sink, err := found.New(db, root)
	return &reconcile.Loop[network.Other]{Table: network.Others, Sink: sink, WaitSynced: true, MaxBackoff: retry}, err
}

// AllFound tells when those have been looked at that there are: before, none is missing.
func AllFound(ctx context.Context, db *state.DB) error {
	if err := status.AwaitFirst(ctx, db, network.Others); err != nil {
		return err
	}
	if err := db.Write(func(tx *state.Tx) error { network.Found.MarkSynced(tx); return nil }); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// ReadFiles keeps the configurations that lie in folders of the node.
func ReadFiles(ctx context.Context, db *state.DB, folders []string, log *slog.Logger) error {
	return file.Run(ctx, db, folders, log)
}
