package flow

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// structType is how an Any names a google.protobuf.Struct.
const structType = "type.googleapis.com/google.protobuf.Struct"

// Numbers of fields (google/protobuf/struct.proto).
const (
	structFields protowire.Number = 1
	entryName    protowire.Number = 1
	entryValue   protowire.Number = 2
	valueNumber  protowire.Number = 2
	valueText    protowire.Number = 3
	valueStruct  protowire.Number = 5
)

// object is a google.protobuf.Struct as it is serialised. Each flow of a connection's end has several: their maps and messages were a third
// of what an agent spends on flows. Nil is an empty one. Each name is to be added once.
type object []byte

func (o object) number(name string, n float64) object {
	const size = 1 + 8
	o = o.entry(name, size)
	o = protowire.AppendTag(o, valueNumber, protowire.Fixed64Type)
	return protowire.AppendFixed64(o, math.Float64bits(n))
}

func (o object) text(name, text string) object {
	o = o.entry(name, 1+protowire.SizeBytes(len(text)))
	o = protowire.AppendTag(o, valueText, protowire.BytesType)
	return protowire.AppendString(o, text)
}

func (o object) object(name string, of object) object {
	o = o.entry(name, 1+protowire.SizeBytes(len(of)))
	o = protowire.AppendTag(o, valueStruct, protowire.BytesType)
	return protowire.AppendBytes(o, of)
}

// optional leaves out what is empty.
func (o object) optional(name string, of object) object {
	if len(of) == 0 {
		return o
	}
	return o.object(name, of)
}

// entry begins one: what follows is its value, of so many bytes.
func (o object) entry(name string, value int) object {
	o = protowire.AppendTag(o, structFields, protowire.BytesType)
	o = protowire.AppendVarint(o, uint64(1+protowire.SizeBytes(len(name))+1+protowire.SizeBytes(value)))
	o = protowire.AppendTag(o, entryName, protowire.BytesType)
	o = protowire.AppendString(o, name)
	o = protowire.AppendTag(o, entryValue, protowire.BytesType)
	return protowire.AppendVarint(o, uint64(value))
}
