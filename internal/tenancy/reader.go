package tenancy

import "context"

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
