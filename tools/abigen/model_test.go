package main

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

var u8, u32 = &btf.Int{Name: "u8", Size: 1}, &btf.Int{Name: "u32", Size: 4}

func TestNamesLoseTheirUnderscores(t *testing.T) {
	for have, want := range map[string]string{"policy_key": "PolicyKey", "MATCH_L3_L4": "MatchL3L4", "a_port": "APort"} {
		if got := camel(have); got != want {
			t.Errorf("camel(%s) = %s, want %s", have, got, want)
		}
	}
}

func TestOnlyIntegerMacrosBecomeConstants(t *testing.T) {
	have := defines("#define WEFT_ABI_H\n#define WEFT_LIMIT 3 /* why */\n#define MASK 0x0f00u\n#define F(x) 1\n#define T \"x\"\n")
	if len(have) != 2 || have[0] != (constant{"LIMIT", "3"}) || have[1] != (constant{"MASK", "0x0f00"}) {
		t.Errorf("have %v", have)
	}
}

func TestAFieldTakesTheEnumOfItsName(t *testing.T) {
	m := &model{enums: []*enum{
		{cname: "verdict", values: []constant{{"VERDICT_NONE", "0"}, {"VERDICT_DENY", "2"}}},
		{cname: "host_flag", values: []constant{{"HOST_LOCAL", "1"}}},
	}}
	err := m.add(&btf.Struct{Name: "host", Size: 12, Members: []btf.Member{
		{Name: "flags", Type: u32}, {Name: "verdict", Type: u8, Offset: 32}, {Name: "peer", Type: u32, Offset: 64},
	}})
	if err != nil {
		t.Fatal(err)
	}
	code := m.code()
	for _, want := range []string{"Flags HostFlag", "Verdict Verdict", "type Verdict uint8", "_ [3]byte", "Peer uint32", `return "deny"`} {
		if !strings.Contains(code, want) {
			t.Errorf("no %q in\n%s", want, code)
		}
	}
}

func TestAKeyWithAGapIsRefused(t *testing.T) {
	err := new(model).add(&btf.Struct{Name: "ct_key", Size: 8, Members: []btf.Member{{Name: "a", Type: u8}, {Name: "b", Type: u32, Offset: 32}}})
	if err == nil || !strings.Contains(err.Error(), "3 bytes of gap after a") {
		t.Errorf("have %v", err)
	}
}

func TestOneEnumHasOneSize(t *testing.T) {
	m := &model{enums: []*enum{{cname: "verdict"}}}
	err := m.add(&btf.Struct{Name: "event", Size: 4, Members: []btf.Member{{Name: "verdict", Type: u32}}})
	if err != nil {
		t.Fatal(err)
	}
	err = m.add(&btf.Struct{Name: "policy", Size: 1, Members: []btf.Member{{Name: "verdict", Type: u8}}})
	if err == nil || !strings.Contains(err.Error(), "enum verdict has 1 bytes here and 4 bytes elsewhere") {
		t.Errorf("have %v", err)
	}
}

func TestEachShapeOfAHeaderIsShown(t *testing.T) {
	have := shown("/* what */\nstruct ct_key {\n\tstruct addr a;\n};\nenum tier {\n};\nstruct addr {\n};\nstruct {\n} events SEC(\".maps\");\n")
	want := "struct ct_key show_struct_ct_key __attribute__((used));\nenum tier show_enum_tier __attribute__((used));\n"
	if have != want {
		t.Errorf("have %s", have)
	}
}
