package network

import (
	"iter"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
)

// Other is a further NIC that the agent has not made: Multus says in the pod's annotation that it is there.
type Other struct {
	ContainerID    string
	First          string // interface of the container's first NIC
	Interface      string
	Number         uint32 // in the order of the annotation, from 1
	Netns          string // path
	Namespace, Pod string
	UID            string
	Definition     string // namespace/name
	Wire           string // where that leads, in words; empty: its device says
	Policy         string // what it says in place of policy-networks; empty: nothing
	Type           string // of its plugin; empty: it is not known
	Addresses      []netip.Addr
	MAC            string // empty: any
}

func (Other) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Definition", "Type", "MAC", "Addresses"}
}

func (o Other) Row() []string {
	return []string{o.ContainerID, o.Interface, o.Namespace + "/" + o.Pod, o.Definition, o.Type, o.MAC, column.List(o.Addresses)}
}

// Others are those of this node's pods.
var Others = table.Declare("interfaces-of-multus", func(r Other) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) })

// Found is what has been seen of Others in their pods' namespaces, as if it had been made here. A NIC stays as it was seen first.
var Found = table.Declare("interfaces-found", madeKey, byPod, byFirst, byHost, byUplink)

// Existing are the NICs that are there beside first ones, made by this agent or by Multus.
func Existing(r state.Reader) iter.Seq[Made] { return both(Finished.All(r), Found.All(r)) }

// ExistingBy are those at an index of Finished.
func ExistingBy(r state.Reader, index string, key state.Key) iter.Seq[Made] {
	return both(Finished.By(r, index, key), Found.By(r, index, key))
}

// ExistingOf are those of a container.
func ExistingOf(r state.Reader, container string) iter.Seq[Made] {
	return both(Finished.Prefix(r, state.Join(container)), Found.Prefix(r, state.Join(container)))
}

// ExistingOne is the one of a key.
func ExistingOne(r state.Reader, key state.Key) (Made, bool) {
	if m, ok := Finished.One(r, key); ok {
		return m, true
	}
	return Found.One(r, key)
}

// OnExisting are the inputs of what follows from them.
func OnExisting(keys func(r state.Reader, m Made) []state.Key) []state.Input {
	return []state.Input{state.On(Finished, keys), state.On(Found, keys)}
}

func both(one, other iter.Seq[Made]) iter.Seq[Made] {
	return func(yield func(Made) bool) {
		for m := range one {
			if !yield(m) {
				return
			}
		}
		for m := range other {
			if !yield(m) {
				return
			}
		}
	}
}
