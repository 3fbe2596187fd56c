package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// model is what the header declares, in its order.
type model struct {
	structs []*structure
	enums   []*enum
	defines []constant
}

type structure struct {
	cname  string
	size   uint32
	fields []field
}

type field struct {
	cname  string
	gotype string
	offset uint32 // bytes
	size   uint32 // bytes
}

type enum struct {
	cname  string
	size   uint32 // bytes of the fields that hold it; 0 while none was seen
	values []constant
}

type constant struct {
	cname string
	value string
}

// fieldEnums are the fields whose enum the naming rule does not find. An empty name means: none.
var fieldEnums = map[string]string{
	"event.reason": "drop_reason",
	"sweep.table":  "quota_kind",
}

// show begins the names of the variables that make a shape visible.
const show = "show_"

var shape = regexp.MustCompile(`(?m)^(struct|enum) (\w+) \{`)

// shown declares one variable for each struct and enum of a header, but for struct addr, whose Go type is written by hand.
func shown(header string) string {
	var out strings.Builder
	for _, hit := range shape.FindAllStringSubmatch(header, -1) {
		if hit[2] != "addr" {
			fmt.Fprintf(&out, "%s %s %s%s_%s __attribute__((used));\n", hit[1], hit[2], show, hit[1], hit[2])
		}
	}
	return out.String()
}

// read takes the structs and enums that the variables of the object show, in the order of the variables.
func read(spec *btf.Spec) (*model, error) {
	var structs []*btf.Struct
	m := &model{}
	for t, err := range spec.All() {
		if err != nil {
			return nil, err
		}
		v, ok := t.(*btf.Var)
		if !ok || !strings.HasPrefix(v.Name, show) {
			continue
		}
		switch t := v.Type.(type) {
		case *btf.Struct:
			structs = append(structs, t)
		case *btf.Enum:
			e := &enum{cname: t.Name}
			for _, v := range t.Values {
				e.values = append(e.values, constant{v.Name, fmt.Sprint(v.Value)})
			}
			m.enums = append(m.enums, e)
		default:
			return nil, fmt.Errorf("variable %s shows %s: only structs and enums are shared", v.Name, v.Type.TypeName())
		}
	}
	for _, s := range structs {
		if err := m.add(s); err != nil {
			return nil, err
		}
	}
	for _, e := range m.enums {
		if e.size == 0 {
			e.size = 4
		}
	}
	return m, nil
}

func (m *model) add(s *btf.Struct) error {
	out := &structure{cname: s.Name, size: s.Size}
	var end uint32
	for _, member := range s.Members {
		name := s.Name + "." + member.Name
		if member.BitfieldSize != 0 {
			return fmt.Errorf("struct %s: a bitfield has no Go counterpart", name)
		}
		size, err := btf.Sizeof(member.Type)
		if err != nil {
			return fmt.Errorf("struct %s: %w", name, err)
		}
		if err := out.gap(member.Offset.Bytes() - end); err != nil {
			return err
		}
		end = member.Offset.Bytes()
		gotype, err := m.gotype(s.Name, member, uint32(size))
		if err != nil {
			return err
		}
		out.fields = append(out.fields, field{member.Name, gotype, end, uint32(size)})
		end += uint32(size)
	}
	if err := out.gap(s.Size - end); err != nil {
		return err
	}
	m.structs = append(m.structs, out)
	return nil
}

// gap adds a blank field for bytes that C's alignment leaves unused.
func (s *structure) gap(bytes uint32) error {
	if bytes == 0 {
		return nil
	}
	if strings.HasSuffix(s.cname, "_key") {
		last := "its start"
		if len(s.fields) > 0 {
			last = s.fields[len(s.fields)-1].cname
		}
		return fmt.Errorf("struct %s: %d bytes of gap after %s: name them with a field pad, or keys that are equal will differ", s.cname, bytes, last)
	}
	s.fields = append(s.fields, field{"pad", fmt.Sprintf("[%d]byte", bytes), 0, bytes})
	return nil
}

// gotype names the Go type of a field.
func (m *model) gotype(owner string, member btf.Member, size uint32) (string, error) {
	if strings.HasPrefix(member.Name, "pad") {
		return plain(member.Type)
	}
	if e := m.enumOf(owner, member.Name); e != nil {
		if _, isInt := btf.UnderlyingType(member.Type).(*btf.Int); isInt {
			if e.size != 0 && e.size != size {
				return "", fmt.Errorf("struct %s.%s: enum %s has %d bytes here and %d bytes elsewhere", owner, member.Name, e.cname, size, e.size)
			}
			e.size = size
			return camel(e.cname), nil
		}
	}
	return plain(member.Type)
}

func (m *model) enumOf(owner, member string) *enum {
	names := []string{member, owner + "_" + member, owner + "_" + strings.TrimSuffix(member, "s")}
	if special, ok := fieldEnums[owner+"."+member]; ok {
		names = []string{special}
	}
	for _, name := range names {
		for _, e := range m.enums {
			// Identities are numbers that the cluster gives out, of which the enum lists but the reserved ones.
			if e.cname == name && name != "identity" {
				return e
			}
		}
	}
	return nil
}

func plain(t btf.Type) (string, error) {
	switch t := t.(type) {
	case *btf.Typedef:
		if t.Name == "__be16" {
			return "BePort", nil
		}
		return plain(t.Type)
	case *btf.Int:
		if t.Encoding == btf.Signed {
			return fmt.Sprintf("int%d", t.Size*8), nil
		}
		return fmt.Sprintf("uint%d", t.Size*8), nil
	case *btf.Array:
		elem, err := plain(t.Type)
		return fmt.Sprintf("[%d]%s", t.Nelems, elem), err
	case *btf.Struct:
		return camel(t.Name), nil
	case *btf.Union:
		return fmt.Sprintf("[%d]byte", t.Size), nil
	}
	return "", fmt.Errorf("type %v has no Go counterpart here", t)
}

var define = regexp.MustCompile(`(?m)^#define[ \t]+([A-Z][A-Z0-9_]*)[ \t]+(0x[0-9a-fA-F]+|[0-9]+)[uUlL]*[ \t]*(?:/\*.*)?$`)

// defines finds the object-like integer macros of a header: BTF does not have them.
func defines(header string) []constant {
	var out []constant
	for _, hit := range define.FindAllStringSubmatch(header, -1) {
		out = append(out, constant{strings.TrimPrefix(hit[1], "WEFT_"), hit[2]})
	}
	return out
}

// camel turns policy_key and POLICY_KEY into PolicyKey.
func camel(name string) string {
	var out strings.Builder
	for word := range strings.SplitSeq(strings.ToLower(name), "_") {
		if word != "" {
			out.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return out.String()
}
