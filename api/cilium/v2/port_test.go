package v2_test

import (
	"encoding/json"
	"testing"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

func TestICMPTypeIsANumberOrANameAndNoNumberFailsToDecode(t *testing.T) {
	for text, want := range map[string]struct {
		icmp v2.ICMPType
		json string
	}{
		`8`:             {"8", `8`},
		`"8"`:           {"8", `8`},
		`"EchoRequest"`: {"EchoRequest", `"EchoRequest"`},
		`5000000000`:    {"5000000000", `5000000000`},
		`1e400`:         {"1e400", `"1e400"`},
		`-1`:            {"-1", `"-1"`},
		`""`:            {"", `""`},
	} {
		var got v2.ICMPField
		if err := json.Unmarshal([]byte(`{"type":`+text+`}`), &got); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		out, err := json.Marshal(got.Type)
		if err != nil || got.Type != want.icmp || string(out) != want.json {
			t.Errorf("%s is %q and becomes %s (%v), want %q and %s", text, got.Type, out, err, want.icmp, want.json)
		}
	}
	for _, text := range []string{`true`, `[8]`, `{}`} {
		if err := json.Unmarshal([]byte(text), new(v2.ICMPType)); err == nil {
			t.Errorf("%s is taken for an ICMP type", text)
		}
	}
}
