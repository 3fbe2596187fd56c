package packet

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/bpf/ktime"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/observe/ring"
)

// flood sends one packet for each number of a range, which stands where the line says PORT, and tells how many ended how.
func flood(b *bench, ts *testscript.TestScript, args []string) {
	from, to, _ := strings.Cut(args[2], "-")
	device, iif, _ := strings.Cut(args[1], ",iif=")
	count := map[string]int{}
	for n := number(from); n <= number(to); n++ {
		text, err := b.send(args[0], b.devices[device].Ifindex, 0, b.devices[iif].Ifindex, strings.ReplaceAll(args[3], "PORT", strconv.Itoa(int(n))))
		ts.Check(err)
		ts.Check(b.holdAfterAMoment())
		how, _, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), " ")
		if how == "drop" {
			for _, line := range strings.Split(text, "\n") {
				if _, why, ok := strings.Cut(line, "drop "+args[0]); ok {
					_, how, _ = strings.Cut(strings.TrimSpace(why), " ")
				}
			}
		}
		count[how]++
	}
	var words []string
	for how, n := range count {
		words = append(words, fmt.Sprintf("%d %s", n, how))
	}
	slices.Sort(words)
	_, err := ts.Stdout().Write([]byte(strings.Join(words, "\n") + "\n"))
	ts.Check(err)
}

// sweep takes out what is finished and tells what is left, of every table, and how much of each NIC's quota is used.
func sweep(b *bench, ts *testscript.TestScript, _ []string) {
	swept, quotas, err := b.dp.Sweep()
	ts.Check(err)
	for kind, s := range swept {
		text := fmt.Sprintf("%s: %d left, %d removed", s.Table, s.Held, s.Removed)
		var names []string
		for name := range b.devices {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			quota := quotas[b.devices[name].Incarnation]
			if n := quota.Held[kind]; n != 0 {
				text += fmt.Sprintf(", %s %d", name, n)
			}
			if n := quota.Held[abi.QuotaCalled]; n != 0 && abi.QuotaKind(kind) == abi.QuotaConnections {
				text += fmt.Sprintf(", %s called %d", name, n)
			}
		}
		_, err := fmt.Fprintf(ts.Stdout(), "%s\none may hold %d of %s\n", text, s.Limit, s.Table)
		ts.Check(err)
	}
}

// refused tells how much of each table each owner was refused, since the script began.
func refused(b *bench, ts *testscript.TestScript, _ []string) {
	var (
		owner uint32
		quota abi.Quota
		lines []string
	)
	names := map[uint32]string{}
	for name, nic := range b.devices {
		names[nic.Incarnation] = name
	}
	tables := map[abi.QuotaKind]string{
		abi.QuotaConnections: "connections", abi.QuotaCalled: "connections to it", abi.QuotaTranslations: "translations", abi.QuotaFragments: "fragments",
	}
	list := b.dp.Map("quota").Iterate()
	for list.Next(&owner, &quota) {
		for kind, table := range tables {
			if n := quota.Refused[kind]; n != 0 {
				lines = append(lines, fmt.Sprintf("%s: %d %s\n", cmp.Or(names[owner], "a service"), n, table))
			}
		}
	}
	ts.Check(list.Err())
	slices.Sort(lines)
	_, err := ts.Stdout().Write([]byte(cmp.Or(strings.Join(lines, ""), "none\n")))
	ts.Check(err)
}

// counters tells how many packets were counted for what, since the script began.
func counters(b *bench, ts *testscript.TestScript, _ []string) {
	list, err := ring.CountersOf(b.dp.Map("counters"))()
	ts.Check(err)
	var lines []string
	for key, n := range list {
		what := "passed"
		if key.Reason != abi.DropNone {
			what = flow.DropText(uint32(key.Reason))
		}
		lines = append(lines, fmt.Sprintf("%s: %d %s\n", key.Hook, n.Packets, what))
	}
	slices.Sort(lines)
	_, err = ts.Stdout().Write([]byte(strings.Join(lines, "")))
	ts.Check(err)
}

// age puts every entry of a shared table long past its time.
func age(b *bench, ts *testscript.TestScript, args []string) { ts.Check(expire(b, args[0])) }

func expire(b *bench, table string) error {
	m := b.dp.Map(table)
	switch table {
	case "connections":
		return rewrite(m, func(k *abi.CtKey, v *abi.Ct) { v.Expires = uint64(ktime.Now()) - 2*uint64(time.Second) })
	case "translations":
		return rewrite(m, func(k *abi.NatKey, v *abi.Nat) { v.Opened = 1 })
	case "fragments":
		return rewrite(m, func(k *abi.FragmentKey, v *abi.Fragment) { v.Expires = 1 })
	}
	return fmt.Errorf("nothing ages in %s", table)
}

// pass lets so many seconds pass for all connections.
func pass(b *bench, ts *testscript.TestScript, args []string) {
	by := uint64(number(args[0])) * uint64(time.Second)
	ts.Check(rewrite(b.dp.Map("connections"), func(_ *abi.CtKey, v *abi.Ct) {
		// A machine that started a moment ago has no time before its start, in which a life could have ended.
		v.Expires, v.Opened, v.Last = max(v.Expires, by+1)-by, v.Opened-by, v.Last-by
	}))
}

func rewrite[K comparable, V any](m *ebpf.Map, change func(*K, *V)) error {
	var (
		k    K
		v    V
		rows = map[K]V{}
	)
	list := m.Iterate()
	for list.Next(&k, &v) {
		rows[k] = v
	}
	for k, v := range rows {
		change(&k, &v)
		if err := m.Put(&k, &v); err != nil {
			return err
		}
	}
	return list.Err()
}
