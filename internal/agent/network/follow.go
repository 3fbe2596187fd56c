package network

import (
	"context"

	"weftnet.io/weftnet/internal/state"
)

// follow has each change of a table taken, from what is there on, until ctx ends.
func follow[R state.Row](ctx context.Context, db *state.DB, t *state.Table[R], take func(state.Change[R])) error {
	feed := t.Feed(db)
	defer feed.Close()
	for {
		changes, _, more := feed.Next()
		for _, c := range changes {
			take(c)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
