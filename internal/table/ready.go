package table

import "weftnet.io/weftnet/internal/state"

// Ready says that all that an attachment needs is in place: the CNI ADD that waits for it may answer.
type Ready struct {
	ContainerID string
	Interface   string
	HostName    string
}

func (Ready) Header() []string { return []string{"ContainerID", "Interface", "HostName"} }

func (r Ready) Row() []string { return []string{r.ContainerID, r.Interface, r.HostName} }

var _ = declare(&tables.Ready, "ready", func(r Ready) state.Key { return AttachmentKey(r.ContainerID, r.Interface) })
