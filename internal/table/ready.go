package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// Ready says that an attachment's link, datapath and policy are in place: the CNI ADD that waits for it may answer.
type Ready struct {
	ContainerID string
	Interface   string
	HostName    string
	Ifindex     int
}

func (Ready) Header() []string { return []string{"ContainerID", "Interface", "HostName", "Ifindex"} }

func (r Ready) Row() []string {
	return []string{r.ContainerID, r.Interface, r.HostName, fmt.Sprint(r.Ifindex)}
}

var _ = declare(&tables.Ready, "ready", func(r Ready) state.Key { return AttachmentKey(r.ContainerID, r.Interface) })
