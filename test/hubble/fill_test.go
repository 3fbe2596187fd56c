package hubble

import (
	"fmt"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

type grpcRegistrar = grpc.ServiceRegistrar

// In so many rounds, each number of each enum is said: in the first ones each of those that are in every message, in the others those of
// messages that are one of several, seven at most, and so come every few rounds.
const (
	firstRounds = 100
	rounds      = 160
	kinds       = 7
)

// fill sets all fields of a message. Of enums and of what is one of several it takes another in each round.
func fill(m protoreflect.Message, round int) {
	switch one := m.Interface().(type) {
	case *timestamppb.Timestamp:
		one.Seconds, one.Nanos = epoch.Unix()+int64(round), 1
		return
	case *anypb.Any:
		s, _ := structpb.NewStruct(map[string]any{"round": round})
		_ = one.MarshalFrom(s)
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if of := f.ContainingOneof(); of != nil && of.Fields().Get(round%of.Fields().Len()) != f {
			continue
		}
		switch {
		case f.IsList():
			list := m.Mutable(f).List()
			for n := range 2 {
				list.Append(value(f, list.NewElement, round+n))
			}
		case f.IsMap():
			panic("a map: " + f.FullName())
		default:
			m.Set(f, value(f, func() protoreflect.Value { return m.NewField(f) }, round))
		}
	}
}

// value is one of a field.
func value(f protoreflect.FieldDescriptor, empty func() protoreflect.Value, round int) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.MessageKind:
		v := empty()
		fill(v.Message(), round)
		return v
	case protoreflect.EnumKind:
		if round >= firstRounds {
			round /= kinds
		}
		all := f.Enum().Values()
		return protoreflect.ValueOfEnum(all.Get(round % all.Len()).Number())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprint(f.Name(), round))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{1, byte(round)})
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(0.5 + float64(round))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(-1 - int32(round))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(-1 - int64(round))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(1<<31 + uint32(round))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(1<<63 + uint64(round))
	}
	panic(fmt.Sprint("a field of kind ", f.Kind(), ": ", f.FullName()))
}

// item is a flow with all fields, or news of lost ones.
func item(round int) tenancytest.Item {
	one := tenancytest.Item{Node: "n1", At: epoch.Add(time.Duration(round) * time.Second)}
	if round > rounds-kinds {
		one.Lost = &flowpb.LostEvent{}
		fill(one.Lost.ProtoReflect(), rounds-round)
		return one
	}
	one.Flow = &flowpb.Flow{}
	fill(one.Flow.ProtoReflect(), round)
	return one
}

// event is one of an agent with all fields.
func event(round int) *observerpb.GetAgentEventsResponse {
	one := &observerpb.GetAgentEventsResponse{}
	fill(one.ProtoReflect(), round)
	return one
}

func TestAllThatThereIsIsSaid(t *testing.T) {
	said := map[protoreflect.FullName]bool{}
	for round := range rounds {
		i := item(round)
		for _, m := range []proto.Message{i.Flow, i.Lost, event(round)} {
			note(m.ProtoReflect(), said)
		}
	}
	lacking := 0
	for _, m := range []proto.Message{&flowpb.Flow{}, &flowpb.LostEvent{}, &flowpb.AgentEvent{}} {
		lacking += look(t, m.ProtoReflect().Descriptor(), said, map[protoreflect.FullName]bool{})
	}
	if lacking > 0 {
		t.Errorf("%d fields and numbers are never said", lacking)
	}
}

// note notes which fields and numbers of enums a message has.
func note(m protoreflect.Message, said map[protoreflect.FullName]bool) {
	each := func(f protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch f.Kind() {
		case protoreflect.MessageKind:
			note(v.Message(), said)
		case protoreflect.EnumKind:
			said[f.FullName()+"="+protoreflect.FullName(fmt.Sprint(v.Enum()))] = true
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		said[f.FullName()] = true
		switch {
		case f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				each(f, v.List().Get(i))
			}
		default:
			each(f, v)
		}
		return true
	})
}

// look looks for what was never said.
func look(t *testing.T, d protoreflect.MessageDescriptor, said, done map[protoreflect.FullName]bool) (lacking int) {
	if done[d.FullName()] || d.FullName().Parent() == "google.protobuf" {
		return 0
	}
	done[d.FullName()] = true
	fields := d.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !said[f.FullName()] {
			t.Log(f.FullName())
			lacking++
		}
		if f.Kind() == protoreflect.MessageKind {
			lacking += look(t, f.Message(), said, done)
		}
		if f.Kind() != protoreflect.EnumKind {
			continue
		}
		for n := range f.Enum().Values().Len() {
			number := f.Enum().Values().Get(n).Number()
			if number != 0 && !said[f.FullName()+"="+protoreflect.FullName(fmt.Sprint(number))] {
				t.Log(f.FullName(), number)
				lacking++
			}
		}
	}
	return lacking
}
