package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// Need is one thing that an attachment waits for: its ADD is answered when all of them are in place.
type Need struct {
	ContainerID string
	Interface   string
	Number      uint32 // of the attachment's needs, in the order in which they are told to people
	HostName    string // of the attachment
	What        string // in words for people: link, policy, route 10.0.0.7/32

	// Table and Key name the row that a sink puts in place. Without a key it is not known yet which row that is.
	Table string
	Key   state.Key

	Lacks  string // in words, a fact without which there is no such row: "no identity for labels … yet"; empty: none
	Advice string // what people may do about it
}

func (Need) Header() []string {
	return []string{"ContainerID", "Interface", "What", "Table", "Key", "Lacks"}
}

func (n Need) Row() []string {
	return []string{n.ContainerID, n.Interface, n.What, n.Table, fmt.Sprint(n.Key), n.Lacks}
}

// Equal compares needs, which are computed anew with every step towards an attachment, without reflection.
func (n Need) Equal(o Need) bool { return n == o }

// ByRow is an index of Needs: key of the outcome of the row that is waited for, in table statuses.
const ByRow = "row"

var _ = declare(&tables.Needs, "needs", func(r Need) state.Key { return state.Join(r.ContainerID, r.Interface, r.Number) },
	state.Index[Need]{Name: ByRow, Keys: func(r Need) []state.Key {
		if r.Key == "" {
			return nil
		}
		return []state.Key{r.Status()}
	}})

// Status is the key of the row's outcome in table statuses.
func (n Need) Status() state.Key { return state.Join(n.Table, n.Key) }
