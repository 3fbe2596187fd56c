package table_test

import (
	"reflect"
	"testing"

	"weftnet.io/weftnet/internal/table"
)

func TestEveryFieldOfTablesIsDeclared(t *testing.T) {
	tables, db := table.New()
	for field, v := range reflect.ValueOf(tables).Elem().Fields() {
		if v.IsNil() {
			t.Errorf("%s has no declaration: see internal/table/node.go", field.Name)
		} else if name := v.Interface().(interface{ Name() string }).Name(); name == "" {
			t.Errorf("%s has no name", field.Name)
		} else if _, known := db.Table(name); !known {
			t.Errorf("table %s is in no database", name)
		}
	}
}
