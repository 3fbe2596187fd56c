package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// show prints the fields of a message that are set, one a line, in the order of their numbers, and then those that the API does not have.
func show(to io.Writer, path string, m protoreflect.Message) {
	if packed, is := m.Interface().(*anypb.Any); is { // of a type that has a name in both versions
		inner, err := packed.UnmarshalNew()
		if s, is := inner.(*structpb.Struct); err == nil && is {
			text, _ := json.Marshal(s.AsMap()) // of a Struct, which is JSON
			fmt.Fprintf(to, "%s is %s %s\n", path, s.ProtoReflect().Descriptor().FullName(), text)
			return
		}
		fmt.Fprintf(to, "%s is %q %x\n", path, packed.GetTypeUrl(), packed.GetValue())
		return
	}
	var fields []protoreflect.FieldDescriptor
	m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		fields = append(fields, f)
		return true
	})
	slices.SortFunc(fields, func(a, b protoreflect.FieldDescriptor) int { return cmp.Compare(a.Number(), b.Number()) })
	for _, f := range fields {
		at, v := fmt.Sprintf("%s.%s(%d)", path, f.Name(), f.Number()), m.Get(f)
		switch {
		case f.IsMap():
			fmt.Fprintf(to, "%s = %v\n", at, v.Map().Len())
		case f.IsList():
			for i := range v.List().Len() {
				value(to, fmt.Sprintf("%s[%d]", at, i), f, v.List().Get(i))
			}
		default:
			value(to, at, f, v)
		}
	}
	for rest := m.GetUnknown(); len(rest) > 0; {
		number, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			fmt.Fprintf(to, "%s cannot be read: %x\n", path, rest)
			return
		}
		fmt.Fprintf(to, "%s.(%d) is unknown\n", path, number)
		rest = rest[n:]
	}
}

// value prints one: messages field by field, numbers of enums with their names.
func value(to io.Writer, at string, f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		fmt.Fprintf(to, "%s\n", at)
		show(to, at, v.Message())
	case protoreflect.EnumKind:
		name := protoreflect.Name("unknown")
		if d := f.Enum().Values().ByNumber(v.Enum()); d != nil {
			name = d.Name()
		}
		fmt.Fprintf(to, "%s = %d %s\n", at, v.Enum(), name)
	case protoreflect.StringKind:
		fmt.Fprintf(to, "%s = %q\n", at, v.String())
	case protoreflect.BytesKind:
		fmt.Fprintf(to, "%s = %x\n", at, v.Bytes())
	default:
		fmt.Fprintf(to, "%s = %v\n", at, v.Interface())
	}
}
