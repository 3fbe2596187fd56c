package grant

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Lapse says that a NIC of this node may not have its addresses any more. Zero: none whose Terms move may.
type Lapse struct {
	ContainerID string
	Interface   string
	Why         string
}

func (Lapse) Header() []string { return []string{"ContainerID", "Interface", "Why"} }
func (l Lapse) Row() []string  { return []string{l.ContainerID, l.Interface, l.Why} }

// Lapses are those of this node.
var Lapses = table.Declare("address-lapses", func(r Lapse) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) })

// Silence is a NIC that must not send.
type Silence struct {
	ContainerID string
	Interface   string
	Netns       string // path
	Index       int    // of its device there; 0: not known
	MAC         string // that it was made with; empty: not known
}

func (Silence) Header() []string { return []string{"ContainerID", "Interface"} }
func (s Silence) Row() []string  { return []string{s.ContainerID, s.Interface} }

// Silences are those of this node.
var Silences = table.Declare("silences", func(r Silence) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) })
