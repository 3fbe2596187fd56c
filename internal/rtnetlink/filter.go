package rtnetlink

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Clsact makes the clsact qdisc of a device.
func Clsact(index int) Change {
	r := nl.NewNetlinkRequest(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(&nl.TcMsg{Ifindex: int32(index), Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT})
	r.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("clsact")))
	return Change{What: "make clsact qdisc", Request: r}
}

// HasFilters tells whether there is any filter on one side of a device that has the qdisc.
func (s *Socket) HasFilters(index int, side uint32) (there bool, err error) {
	r := nl.NewNetlinkRequest(unix.RTM_GETTFILTER, unix.NLM_F_DUMP)
	r.AddData(&nl.TcMsg{Ifindex: int32(index), Parent: side})
	err = s.Ask(r, func([]byte) { there = true })
	return there, err
}

// Filter is a program of the kernel on one side of a device's clsact qdisc (cls_bpf), for all protocols.
type Filter struct {
	Index    int
	Side     uint32 // netlink.HANDLE_MIN_INGRESS or _EGRESS
	Priority uint16
	Handle   uint32
	Name     string
	FD       int // of the program
}

// Add puts a filter where none is.
func (f Filter) Add() Change { return f.put("add", unix.NLM_F_CREATE|unix.NLM_F_EXCL) }

// Replace gives a filter that is there another program: each packet meets the one or the other. It is an error if there is none.
func (f Filter) Replace() Change { return f.put("replace", 0) }

func (f Filter) put(verb string, flags int) Change {
	r := nl.NewNetlinkRequest(unix.RTM_NEWTFILTER, flags)
	r.AddData(&nl.TcMsg{
		Ifindex: int32(f.Index), Handle: f.Handle, Parent: f.Side, Info: netlink.MakeHandle(f.Priority, nl.Swap16(unix.ETH_P_ALL)),
	})
	r.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("bpf")))
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_BPF_FD, nl.Uint32Attr(uint32(f.FD)))
	options.AddRtAttr(nl.TCA_BPF_NAME, nl.ZeroTerminated(f.Name))
	options.AddRtAttr(nl.TCA_BPF_FLAGS, nl.Uint32Attr(nl.TCA_BPF_FLAG_ACT_DIRECT))
	r.AddData(options)
	return Change{What: fmt.Sprintf("%s filter %s of device %d", verb, f.Name, f.Index), Request: r}
}
