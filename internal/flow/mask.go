package flow

import (
	"fmt"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Mask keeps some fields of flows. The zero Mask keeps all.
type Mask struct{ root tree }

// tree has the fields to keep by name; an empty subtree keeps the whole field.
type tree map[protoreflect.Name]tree

// NewMask reads paths like source.pod_name. A path that names no field of a flow is an error.
func NewMask(paths []string) (Mask, error) {
	if _, err := fieldmaskpb.New(&flowpb.Flow{}, paths...); err != nil {
		return Mask{}, fmt.Errorf("field mask: %w", err)
	}
	root := tree{}
	for _, path := range paths {
		at := root
		names := strings.Split(path, ".")
		for i, name := range names {
			next, known := at[protoreflect.Name(name)]
			if known && len(next) == 0 {
				break // a shorter path keeps all of it
			}
			if next == nil || i == len(names)-1 {
				next = tree{}
				at[protoreflect.Name(name)] = next
			}
			at = next
		}
	}
	return Mask{root}, nil
}

// Apply gives a flow that has only the fields of the mask. It shares what it keeps with the flow.
func (m Mask) Apply(f *flowpb.Flow) *flowpb.Flow {
	if len(m.root) == 0 {
		return f
	}
	out := &flowpb.Flow{}
	m.root.copy(out.ProtoReflect(), f.ProtoReflect())
	return out
}

func (t tree) copy(to, from protoreflect.Message) {
	for name, sub := range t {
		field := from.Descriptor().Fields().ByName(name)
		if !from.Has(field) {
			continue
		}
		if len(sub) == 0 {
			to.Set(field, from.Get(field))
			continue
		}
		sub.copy(to.Mutable(field).Message(), from.Get(field).Message())
	}
}
