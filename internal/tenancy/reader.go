package tenancy

import (
	"context"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// Gate says who a reader is, by the token that it shows.
type Gate interface {
	// Admit gives the reader of a token. An error is one of gRPC's package status: Unauthenticated, or Unavailable if there is no telling.
	Admit(ctx context.Context, token string) (Reader, error)
}

// Reader is who asks: what it may see, now. Errors are those of gRPC's package status: its token has ended, or there is no telling.
type Reader interface {
	// Name is what the cluster calls it.
	Name() string
	// All tells whether it may see all flows.
	All(ctx context.Context) (bool, error)
	// May tells whether it may see the flows of a namespace.
	May(ctx context.Context, namespace string) (bool, error)
}

// ShowTo is Show for who is asked about by may, which is Reader's, or remembers what that said. An error is one of its, and nothing is shown.
func ShowTo(ctx context.Context, f *flowpb.Flow, may func(ctx context.Context, namespace string) (bool, error)) (*flowpb.Flow, error) {
	var failed error
	shown := Show(f, func(namespace string) bool {
		if failed != nil {
			return false
		}
		yes, err := may(ctx, namespace)
		failed = err
		return yes && err == nil
	})
	if failed != nil {
		return nil, failed
	}
	return shown, nil
}
