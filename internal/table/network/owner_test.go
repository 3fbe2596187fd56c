package network_test

import (
	"encoding/json"
	"testing"

	"weftnet.io/weftnet/internal/table/network"
)

func TestAnOwnerIsOnDiskAsItsText(t *testing.T) {
	for text, want := range map[string]network.Owner{
		`""`:         {},
		`"vm/press"`: {Machine: true, Name: "press"},
		`"pod/db-0"`: {Name: "db-0"},
	} {
		var have network.Owner
		if err := json.Unmarshal([]byte(text), &have); err != nil || have != want {
			t.Errorf("%s is %+v, %v", text, have, err)
		}
		if again, err := json.Marshal(want); err != nil || string(again) != text {
			t.Errorf("%+v is written as %s, %v", want, again, err)
		}
	}
	for _, text := range []string{`"press"`, `"vm/"`, `"pod/"`, `"node/a"`} {
		if json.Unmarshal([]byte(text), new(network.Owner)) == nil {
			t.Errorf("%s is taken for an owner", text)
		}
	}
}
