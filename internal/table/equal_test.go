package table_test

import (
	"net/netip"
	"reflect"
	"testing"

	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// others makes a value that differs, for each field of v and of what it holds: field is its path.
func others(v reflect.Value, path string, yield func(field string)) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[netip.Prefix]() {
			old := v.Interface()
			v.Set(reflect.ValueOf(netip.MustParsePrefix("192.0.2.0/24")))
			yield(path)
			v.Set(reflect.ValueOf(old))
			return
		}
		for i := range v.NumField() {
			others(v.Field(i), path+"."+v.Type().Field(i).Name, yield)
		}
	case reflect.Slice:
		others(v.Index(0), path+"[0]", yield)
		old := v.Interface()
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		yield(path)
		v.Set(reflect.ValueOf(old))
	case reflect.String:
		old := v.String()
		v.SetString(old + "x")
		yield(path)
		v.SetString(old)
	case reflect.Bool:
		v.SetBool(!v.Bool())
		yield(path)
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
		yield(path)
		v.SetInt(v.Int() - 1)
	default:
		v.SetUint(v.Uint() + 1)
		yield(path)
		v.SetUint(v.Uint() - 1)
	}
}

func TestRowsThatDifferInAnyFieldAreNotEqual(t *testing.T) {
	set := func() table.PolicySet {
		return table.PolicySet{Entries: []policy.Entry{{Rules: []policy.Origin{{Name: "a"}}}}, Ranges: []policy.Range{{}}}
	}
	a, b := set(), set()
	if !a.Equal(b) {
		t.Fatal("equal sets differ")
	}
	others(reflect.ValueOf(&b).Elem(), "PolicySet", func(field string) {
		if a.Equal(b) {
			t.Errorf("sets that differ in %s are equal", field)
		}
	})
	list := func() table.SetList {
		return table.SetList{Set: state.Join("a"), Lists: []table.RuleList{{Number: 1, Rules: []policy.Origin{{Name: "a"}}}}}
	}
	c, d := list(), list()
	if !c.Equal(d) {
		t.Fatal("equal lists differ")
	}
	others(reflect.ValueOf(&d).Elem(), "SetList", func(field string) {
		if c.Equal(d) {
			t.Errorf("lists that differ in %s are equal", field)
		}
	})
}
