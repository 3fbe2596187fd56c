package overlay

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
)

func networkOf(name string, age int, number int32) v1alpha1.OverlayNetwork {
	o := v1alpha1.OverlayNetwork{Status: v1alpha1.OverlayNetworkStatus{Number: number}}
	o.Name, o.CreationTimestamp = name, metav1.NewTime(time.Unix(1_700_000_000-int64(age), 0))
	return o
}

func TestNumbersAreTheLowestThatAreFree(t *testing.T) {
	none := func(int32) bool { return false }
	for _, c := range []struct {
		name string
		list []v1alpha1.OverlayNetwork
		used func(int32) bool
		want string
	}{
		{"in the order of their age", []v1alpha1.OverlayNetwork{networkOf("b", 1, 0), networkOf("a", 2, 0)}, none, "map[a:1 b:2]"},
		{"what one has it keeps", []v1alpha1.OverlayNetwork{networkOf("a", 2, 0), networkOf("b", 1, 1)}, none, "map[a:2 b:1]"},
		{"of two the younger gets another", []v1alpha1.OverlayNetwork{networkOf("b", 1, 1), networkOf("a", 2, 1), networkOf("c", 0, 2)}, none, "map[a:1 b:3 c:2]"},
		{"what rests, or a pod uses, is passed over", []v1alpha1.OverlayNetwork{networkOf("a", 1, 0)}, func(n int32) bool { return n < 3 }, "map[a:3]"},
		{"no number is beyond the last", []v1alpha1.OverlayNetwork{networkOf("a", 1, 40000), networkOf("b", 1, -1)}, none, "map[a:1 b:2]"},
		{"none is left", []v1alpha1.OverlayNetwork{networkOf("a", 1, 0)}, func(int32) bool { return true }, "map[]"},
	} {
		if got := fmt.Sprint(numbers(c.list, c.used)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestNoTwoNetworksHaveOneNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []v1alpha1.OverlayNetwork
		for i := range rapid.IntRange(0, 20).Draw(t, "networks") {
			list = append(list, networkOf(fmt.Sprint("n", i), rapid.IntRange(0, 5).Draw(t, "age"), rapid.Int32Range(0, 25).Draw(t, "number")))
		}
		used := rapid.SliceOf(rapid.Int32Range(1, 25)).Draw(t, "used")
		of := numbers(list, func(n int32) bool {
			for _, u := range used {
				if u == n {
					return true
				}
			}
			return false
		})
		seen := map[int32]string{}
		for _, o := range list {
			n := of[o.Name]
			if n < 1 || n > 0x7fff {
				t.Fatalf("%s has %d", o.Name, n)
			}
			if other, twice := seen[n]; twice {
				t.Fatalf("%s and %s have %d", o.Name, other, n)
			}
			seen[n] = o.Name
		}
		for i := range list { // once given they stay
			list[i].Status.Number = of[list[i].Name]
		}
		if got := numbers(list, func(int32) bool { return true }); fmt.Sprint(got) != fmt.Sprint(of) {
			t.Fatalf("given %v, then %v", of, got)
		}
	})
}
