package policy

import (
	"fmt"
	"testing"

	engine "weftnet.io/weftnet/internal/policy"
)

func TestListNumbersAreNeverZeroAndDependOnEveryField(t *testing.T) {
	a, b := engine.Origin{Kind: "CiliumNetworkPolicy", Name: "a"}, engine.Origin{Kind: "CiliumNetworkPolicy", Name: "b"}
	seen := map[uint32]string{}
	for _, list := range [][]engine.Origin{
		nil,
		{{}},
		{{}, {}},
		{a},
		{b},
		{a, b},
		{{Kind: "ab"}},
		{{Kind: "a", Namespace: "b"}},
		{{Kind: "a", Name: "b"}},
		{{Kind: "a", UID: "b"}},
		{{Kind: "a", Path: "b"}},
	} {
		n := ListNumber(list)
		if n == 0 || seen[n] != "" {
			t.Errorf("%v has number %d, as %s", list, n, seen[n])
		}
		seen[n] = fmt.Sprint(list)
	}
}
