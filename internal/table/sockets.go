package table

import (
	"cmp"
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// Sockets asks for the programs at sockets. There is one row, while the configuration wants calls of services translated there.
type Sockets struct {
	Group    string // directory of the control group whose processes are meant; empty: where control groups are mounted
	HostOnly bool   // in the node's own network namespace alone; programs are told by table programs
	Found    uint64 // only as a sink finds it: number of the group that all of them are on; 0: not all, or not on one
	Old      bool   // only as a sink finds it: another agent's programs, to be replaced in place
}

// SocketsKey is the key of the one row.
var SocketsKey = state.Join("node")

func (Sockets) Header() []string { return []string{"Group", "Host only"} }

func (s Sockets) Row() []string {
	return []string{cmp.Or(s.Group, "as mounted"), fmt.Sprint(s.HostOnly)}
}

var _ = declare(&tables.Sockets, "sockets", func(Sockets) state.Key { return SocketsKey })
