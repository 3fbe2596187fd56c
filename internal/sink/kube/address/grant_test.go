package address

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	wav1 "weftnet.io/weftnet/api/whereabouts/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/source/kube/apitest"
)

const books = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/"

// request asks for an address of 10.0.0.0/28 for a pod.
func request(pod, container string, owner address.Owner) Request {
	h := nicOf(container)
	h.Pod = "shop/" + pod
	return Request{
		Network: "shop/storage", NetworkName: "storage", Namespace: "shop", Holder: h, Owner: owner,
		Ranges: []Range{{netip.MustParsePrefix("10.0.0.0/28"), spans("10.0.0.1-10.0.0.14")}},
	}
}

var database = address.Owner{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: "shop", Name: "db", UID: "u1", Pod: "db-0"}

// said is an answer in a word.
func said(list []netip.Prefix, err error) string {
	if err != nil {
		return err.Error()
	}
	return strings.Join(texts(list), " ")
}

// TestAWorkloadKeepsItsAddressOnEveryNode has a pod of a StatefulSet end on one node and begin on another.
func TestAWorkloadKeepsItsAddressOnEveryNode(t *testing.T) {
	server := apitest.New(t)
	a, b := open(t, server.Config(), "a", nil), open(t, server.Config(), "b", nil)
	first := said(a.Grant(t.Context(), request("db-0", "c1", database)))
	if err := a.Return(t.Context(), "c1", "net1"); err != nil {
		t.Fatal(err)
	}
	if other := said(b.Grant(t.Context(), request("web", "c2", address.Owner{}))); other == first {
		t.Errorf("%s was kept for db-0, and web has it", first)
	}
	if again := said(b.Grant(t.Context(), request("db-0", "c3", database))); again != first {
		t.Errorf("db-0 had %s, and has %s on another node", first, again)
	}
	if second := said(a.Grant(t.Context(), request("db-0", "c4", database))); second != "address "+strings.TrimSuffix(first, "/28")+
		": it is held by pod shop/db-0 on node b, for StatefulSet shop/db, pod db-0; it moves when that NIC is gone, or when node b has not been heard of for a while" {
		t.Errorf("a second NIC of db-0: %s", second)
	}
	machine := address.Owner{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Namespace: "shop", Name: "press"}
	one, two := said(a.Grant(t.Context(), request("press-1", "c5", machine))), said(b.Grant(t.Context(), request("press-2", "c6", machine)))
	if one != two {
		t.Errorf("a machine that moves has %s here and %s there", one, two)
	}
	var o v1alpha1.StickyAddress
	paths := server.Paths("/apis/weftnet.io/v1alpha1/namespaces/shop/stickyaddresses/db-0-")
	if len(paths) != 1 || !server.Get(paths[0], &o) || o.OwnerReferences[0].Name != "db" || o.Spec.Owner != "StatefulSet shop/db, pod db-0" {
		t.Errorf("objects %v: %+v", paths, o)
	}
}

// TestAnAddressMovesWhenTheHoldOfItsNodeHasLapsed has a node cut off, and hear of it when it is back.
func TestAnAddressMovesWhenTheHoldOfItsNodeHasLapsed(t *testing.T) {
	server := apitest.New(t)
	a, b := open(t, server.Config(), "a", nil), open(t, server.Config(), "b", nil)
	first := said(a.Grant(t.Context(), request("db-0", "c1", database)))
	b.over = func(_ context.Context, node string) (bool, error) { return node == "a", nil }
	if got := said(b.Grant(t.Context(), request("db-0", "c2", database))); got != first {
		t.Errorf("on another node it has %s, and had %s", got, first)
	}
	if held, err := a.Held(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("the node that was cut off has %v: %v", held, err)
	}
	q := request("db-0", "c1", database)
	q.Exact = []netip.Prefix{netip.MustParsePrefix(first)}
	if got := said(a.Grant(t.Context(), q)); !strings.Contains(got, "it is held by pod shop/db-0 on node b") {
		t.Errorf("its NIC gets %s back", got)
	}
	if err := a.Return(t.Context(), "c1", "net1"); err != nil { // its DEL
		t.Fatal(err)
	}
	if held, err := b.Held(t.Context()); err != nil || len(held) != 1 {
		t.Errorf("the other node has %v: %v", held, err)
	}
}

// TestTwoNodesThatAskAtOnceForOneWorkloadAgree has four nodes ask for the same owner at the same moment, again and again.
func TestTwoNodesThatAskAtOnceForOneWorkloadAgree(t *testing.T) {
	server := apitest.New(t)
	for round := range 20 {
		owner := address.Owner{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Namespace: "shop", Name: fmt.Sprint("press-", round)}
		var group sync.WaitGroup
		answers := make([]string, 4)
		for i := range answers {
			group.Go(func() {
				q := request(owner.Name, fmt.Sprintf("c%d-%d", round, i), owner)
				q.Ranges[0] = Range{netip.MustParsePrefix("10.0.0.0/24"), spans("10.0.0.1-10.0.0.254")}
				answers[i] = said(open(t, server.Config(), fmt.Sprint("n", i), nil).Grant(t.Context(), q))
			})
		}
		group.Wait()
		for _, a := range answers {
			if a != answers[0] {
				t.Fatalf("round %d: %q", round, answers)
			}
		}
	}
}

// TestAClaimKeepsTheAddressesOfOneVirtualMachine is the life of an IPAMClaim.
func TestAClaimKeepsTheAddressesOfOneVirtualMachine(t *testing.T) {
	server := apitest.New(t)
	const path = "/apis/k8s.cni.cncf.io/v1alpha1/namespaces/shop/ipamclaims/"
	put := func(name string, o claimv1.IPAMClaim) {
		o.Spec.Network, o.Spec.Interface = "storage", "net1"
		server.Put(path+name, &o)
	}
	put("db.storage", claimv1.IPAMClaim{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "VirtualMachine", Name: "db"}}}, Status: claimv1.IPAMClaimStatus{IPs: []string{}}})
	put("db-0.storage", claimv1.IPAMClaim{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "db"}}}, Status: claimv1.IPAMClaimStatus{IPs: []string{}}})
	put("bare", claimv1.IPAMClaim{Status: claimv1.IPAMClaimStatus{IPs: []string{}}})
	put("asks", claimv1.IPAMClaim{Spec: claimv1.IPAMClaimSpec{IPRequests: []string{"10.0.0.9/28"}}, Status: claimv1.IPAMClaimStatus{IPs: []string{}}})
	put("late", claimv1.IPAMClaim{Spec: claimv1.IPAMClaimSpec{IPRequests: []string{"10.0.0.9/28"}}, Status: claimv1.IPAMClaimStatus{IPs: []string{}}})
	machine := func(name string) address.Owner {
		return address.Owner{APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Namespace: "shop", Name: name}
	}
	set := func(pod string) address.Owner {
		return address.Owner{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: "shop", Name: "db", Pod: pod}
	}
	b := open(t, server.Config(), "a", nil)
	ask := func(claim, pod string, owner address.Owner) string {
		q := request(pod, pod, owner)
		q.Claim = claim
		return said(b.Grant(t.Context(), q))
	}
	for _, step := range []struct{ what, have, want string }{
		{"the machine's first pod", ask("db.storage", "launcher-db-1", machine("db")), "10.0.0.1/28"},
		{"its second, to which it moves", ask("db.storage", "launcher-db-2", machine("db")), "10.0.0.1/28"},
		{"another machine", ask("db.storage", "launcher-web", machine("web")), "IPAMClaim shop/db.storage is held by VirtualMachine shop/db, and pod shop/launcher-web of VirtualMachine shop/web asks for it: a claim keeps the addresses of one NIC of one workload"},
		{"a claim that is not there", ask("none", "p", machine("p")), "IPAMClaim shop/none is not there, and the pod names it in ipam-claim-reference: make it, or take the reference out"},
		{"a StatefulSet's pod", ask("db-0.storage", "db-0", set("db-0")), "10.0.0.2/28"},
		{"its neighbour", ask("db-0.storage", "db-1", set("db-1")), "IPAMClaim shop/db-0.storage is held by pod shop/db-0, and pod shop/db-1 asks for it: a claim keeps the addresses of one NIC of one workload"},
		{"a machine of the pod's name", ask("db-0.storage", "launcher-db-0", machine("db-0")), "IPAMClaim shop/db-0.storage is held by StatefulSet shop/db, and pod shop/launcher-db-0 of VirtualMachine shop/db-0 asks for it: a claim keeps the addresses of one NIC of one workload"},
		{"a StatefulSet's pod of a machine's name", ask("db.storage", "db-0", set("db-0")), "IPAMClaim shop/db.storage is held by VirtualMachine shop/db, and pod shop/db-0 of StatefulSet shop/db, pod db-0 asks for it: a claim keeps the addresses of one NIC of one workload"},
		{"a pod alone", ask("bare", "one", address.Owner{}), "10.0.0.3/28"},
		{"another at the same time", ask("bare", "two", address.Owner{}), "IPAMClaim shop/bare is held by pod shop/one, and pod shop/two asks for it: a claim keeps the addresses of one NIC of one workload"},
		{"by name", ask("asks", "three", address.Owner{}), "10.0.0.9/28"},
		{"the same by name", ask("late", "four", address.Owner{}), "address 10.0.0.9: it is held by pod shop/three on node a, for IPAMClaim shop/asks"},
	} {
		if step.have != step.want {
			t.Errorf("%s: have %s, want %s", step.what, step.have, step.want)
		}
	}
	for _, pod := range []string{"launcher-db-1", "launcher-db-2"} {
		if err := b.Return(t.Context(), pod, "net1"); err != nil {
			t.Fatal(err)
		}
	}
	if have := ask("db.storage", "launcher-db-3", machine("db")); have != "10.0.0.1/28" {
		t.Errorf("after it was off, the machine has %s", have)
	}
	var o claimv1.IPAMClaim
	server.Get(path+"db.storage", &o)
	if o.Status.OwnerPod != "launcher-db-3" || fmt.Sprint(o.Status.IPs) != "[10.0.0.1/28]" || !meta.IsStatusConditionTrue(o.Status.Conditions, ConditionAllocated) {
		t.Errorf("status %+v", o.Status)
	}
	server.Get(path+"late", &o)
	if c := meta.FindStatusCondition(o.Status.Conditions, ConditionAllocated); c == nil || c.Status != metav1.ConditionFalse || c.Reason != ReasonConflict {
		t.Errorf("status of what was refused: %+v", o.Status)
	}
}

func booksOf(t *testing.T, config string) *whereabouts.Ranges {
	t.Helper()
	r, gaps := whereabouts.Parse([]byte(`{"name": "storage", "ipam": `+config+`}`), nil)
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	return &r
}

// TestTheBooksOfWhereaboutsAreReadAndWritten has one node of Weftnet beside pods that have addresses from the plugin.
func TestTheBooksOfWhereaboutsAreReadAndWritten(t *testing.T) {
	server := apitest.New(t)
	server.Serve("ippools", "overlappingrangeipreservations", "nodeslicepools")
	server.Put(books+"ippools/10.0.0.0-28", &wav1.IPPool{Spec: wav1.IPPoolSpec{Range: "10.0.0.0/28", Allocations: map[string]wav1.IPAllocation{
		"1": {ContainerID: "old1", PodRef: "shop/old", IfName: "net1"}, "3": {ContainerID: "w1", PodRef: "shop/web", IfName: "net1"},
	}}})
	server.Put(books+"overlappingrangeipreservations/10.0.0.2", &wav1.OverlappingRangeIPReservation{Spec: wav1.OverlappingRangeIPReservationSpec{PodRef: "shop/elsewhere"}})
	b := open(t, server.Config(), "a", nil)
	ask := func(pod, container string) string {
		q := request(pod, container, address.Owner{})
		q.Books = booksOf(t, `{"range": "10.0.0.0/28"}`)
		return said(b.Grant(t.Context(), q))
	}
	for _, step := range []struct{ what, have, want string }{
		{"a new pod passes over what the plugin has given", ask("new", "c1"), "10.0.0.4/28"},
		{"a pod that the plugin knows keeps its address", ask("web", "w2"), "10.0.0.3/28"},
	} {
		if step.have != step.want {
			t.Errorf("%s: have %s, want %s", step.what, step.have, step.want)
		}
	}
	var o wav1.IPPool
	server.Get(books+"ippools/10.0.0.0-28", &o)
	if want := (wav1.IPAllocation{ContainerID: "c1", PodRef: "shop/new", IfName: "net1"}); o.Spec.Allocations["4"] != want || o.Spec.Allocations["3"].ContainerID != "w2" {
		t.Errorf("the pool has %+v", o.Spec.Allocations)
	}
	for _, c := range []string{"c1", "old1"} { // one that this node gave, and one that the plugin gave on this node
		if err := b.Return(t.Context(), c, "net1"); err != nil {
			t.Fatal(err)
		}
	}
	o = wav1.IPPool{}
	server.Get(books+"ippools/10.0.0.0-28", &o)
	if len(o.Spec.Allocations) != 1 || o.Spec.Allocations["3"].PodRef != "shop/web" {
		t.Errorf("afterwards the pool has %+v", o.Spec.Allocations)
	}
	if have := fmt.Sprint(server.Paths(books + "overlapping")); have != fmt.Sprintf("[%[1]s10.0.0.2 %[1]s10.0.0.3]", books+"overlappingrangeipreservations/") {
		t.Errorf("reservations %s", have)
	}
}

// TestWithoutWhereaboutsThereAreNoBooks gives the same addresses where the CRDs are missing.
func TestWithoutWhereaboutsThereAreNoBooks(t *testing.T) {
	server := apitest.New(t)
	q := request("web", "c1", address.Owner{})
	q.Books = booksOf(t, `{"range": "10.0.0.0/28"}`)
	b := open(t, server.Config(), "a", nil)
	if have := said(b.Grant(t.Context(), q)); have != "10.0.0.1/28" {
		t.Error(have)
	}
	if err := b.Return(t.Context(), "c1", "net1"); err != nil {
		t.Error(err)
	}
}

// plugin gives as whereabouts does: the lowest address of its range that no pool and no reservation has.
func plugin(ctx context.Context, m *Mirror, r *whereabouts.Ranges, pod string) (netip.Addr, error) {
	one := r.Of[0]
	passed := map[netip.Addr]bool{}
	for {
		o, err := m.pool(ctx, r, one.Subnet)
		if err != nil {
			return netip.Addr{}, err
		}
		var a netip.Addr
		for x := range one.All() {
			if _, given := o.Spec.Allocations[whereabouts.Offset(one.Subnet, x)]; !given && !passed[x] {
				a = x
				break
			}
		}
		if !a.IsValid() {
			return a, errors.New("none left")
		}
		if _, err := m.reservations.Get(ctx, m.namespace, whereabouts.ReservationName("", a)); err == nil {
			passed[a] = true
			continue
		}
		o.Spec.Allocations[whereabouts.Offset(one.Subnet, a)] = wav1.IPAllocation{ContainerID: pod, PodRef: "shop/" + pod, IfName: "net1"}
		if err := m.pools.Update(ctx, o); err != nil {
			continue // another was first
		}
		return a, m.reservations.Create(ctx, &wav1.OverlappingRangeIPReservation{
			ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: whereabouts.ReservationName("", a)},
			Spec:       wav1.OverlappingRangeIPReservationSpec{PodRef: "shop/" + pod, IfName: "net1"},
		})
	}
}

// TestWhereaboutsAndWeftnetNeverGiveOneAddressTwice has nodes of both give at once out of ranges that overlap.
func TestWhereaboutsAndWeftnetNeverGiveOneAddressTwice(t *testing.T) {
	server := apitest.New(t)
	server.Serve("ippools", "overlappingrangeipreservations", "nodeslicepools")
	ranges := []*whereabouts.Ranges{booksOf(t, `{"range": "10.0.0.0/26"}`), booksOf(t, `{"range": "10.0.0.0/27"}`)}
	l := &ledger{holds: map[netip.Addr]map[string]string{}}
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			b, err := New(Config{API: server.Config(), Node: fmt.Sprint("n", n), Rest: time.Nanosecond})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 25 {
				pod := fmt.Sprintf("p%d-%d", n, i)
				r := ranges[rand.IntN(2)]
				if n < 2 {
					if a, err := plugin(t.Context(), b.others, r, pod); err == nil {
						l.given(t, a, pod, "")
					}
				} else {
					q := request(pod, pod, address.Owner{})
					q.Books, q.Ranges = r, []Range{{r.Of[0].Subnet, r.Of[0].Free.Ranges()}}
					if is, err := b.Grant(t.Context(), q); err == nil {
						l.given(t, is[0].Addr(), pod, "")
					}
				}
				if i%3 > 0 {
					l.back(pod)
					_ = b.Return(t.Context(), pod, "net1")
				}
			}
		})
	}
	group.Wait()
	if len(l.holds) < 10 {
		t.Errorf("%d addresses are held in the end: this test has tried little", len(l.holds))
	}
}
