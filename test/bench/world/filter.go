package world

import (
	"fmt"
	"os/exec"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/nettest/netns"
)

// Filter is the kernel's own filter that does for the pods of a node what policies of World ask: nftables in a network
// namespace, changed by nft.
type Filter struct {
	namespace *netns.Namespace
	count     int // policies
	turn      int
}

// NewFilter makes one.
func NewFilter() (*Filter, error) {
	ns, err := netns.NewNamespace("nftables", false)
	if err != nil {
		return nil, err
	}
	return &Filter{namespace: ns}, nil
}

// Close ends it.
func (f *Filter) Close() { f.namespace.Close() }

// nft runs a transaction and takes its time, in ms.
func (f *Filter) nft(script string) (float64, error) {
	c := exec.Command("nft", "-f", "-")
	var out strings.Builder
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(script), &out, &out
	began := time.Now()
	err := f.namespace.Start(c)
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		return 0, fmt.Errorf("nft: %w: %s", err, out.String())
	}
	return milliseconds(time.Since(began)), nil
}

// The node's pods have 10.244.0.1 and so on; those of other nodes the addresses that the cluster gives them.
func hereAt(app int) string { return fmt.Sprintf("10.244.0.%d", app+1) }

// addresses are those of all pods of an app.
func addresses(app int) (list []string) {
	if app < Local {
		return []string{hereAt(app)}
	}
	for i := app - Local; i < Workloads-Local; i += Apps - Local {
		list = append(list, addressOf(i).String())
	}
	return list
}

// All writes the table anew for n policies.
func (f *Filter) All(n int) ([]float64, error) {
	f.count = n
	var b strings.Builder
	b.WriteString("table ip pods\ndelete table ip pods\ntable ip pods {\n")
	for app := range Apps {
		fmt.Fprintf(&b, "set app-%d { type ipv4_addr; elements = { %s } }\n", app, strings.Join(addresses(app), ", "))
	}
	for app := range Local {
		fmt.Fprintf(&b, "chain to-%d {\n%s}\nchain from-%d {\n%s}\n", app, f.chain("to", app), app, f.chain("from", app))
	}
	var to, from []string
	for app := range Local {
		to, from = append(to, fmt.Sprintf("%s : jump to-%d", hereAt(app), app)), append(from, fmt.Sprintf("%s : jump from-%d", hereAt(app), app))
	}
	fmt.Fprintf(&b, "chain forward {\ntype filter hook forward priority filter; policy accept;\nct state established,related accept\nip saddr vmap { %s }\nip daddr vmap { %s }\n}\n}\n",
		strings.Join(from, ", "), strings.Join(to, ", "))
	took, err := f.nft(b.String())
	return []float64{took}, err
}

// chain is the rules of a pod in one direction.
func (f *Filter) chain(direction string, app int) string {
	var b strings.Builder
	rule := func(i int) {
		if direction == "to" {
			for _, peer := range []int{(7*i + 1) % Apps, (13*i + 3) % Apps} {
				fmt.Fprintf(&b, "ip saddr @app-%d tcp dport %d return\n", peer, 1000+i%30_000+f.turn)
			}
		} else {
			fmt.Fprintf(&b, "ip daddr @app-%d return\n", (3*i+2)%Apps)
		}
	}
	for i := app; i < f.count; i += Apps {
		if !isShared(i) {
			rule(i)
		}
	}
	for i := range Shared {
		rule(shared(i))
	}
	b.WriteString("drop\n")
	return b.String()
}

// replace is a transaction that writes the chains of pods anew.
func (f *Filter) replace(list []int) (float64, error) {
	f.turn++
	var b strings.Builder
	for _, app := range list {
		for _, direction := range []string{"to", "from"} {
			fmt.Fprintf(&b, "flush chain ip pods %s-%d\ntable ip pods {\nchain %s-%d {\n%s}\n}\n", direction, app, direction, app, f.chain(direction, app))
		}
	}
	return f.nft(b.String())
}

// Ones replaces the chains of single pods, one after the other.
func (f *Filter) Ones(times int) (took []float64, err error) {
	for i := range times {
		one, err := f.replace([]int{i * 37 % (Local - 1)})
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// Bursts changes policies as Many as World.Bursts does: some of them select all pods.
func (f *Filter) Bursts(times int) (took []float64, err error) {
	var all []int
	for app := range Local {
		all = append(all, app)
	}
	for range times {
		one, err := f.replace(all)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// Relabel takes an address out of a set, and puts it in again.
func (f *Filter) Relabel(times int) (took []float64, err error) {
	for i := range times {
		app := i % Local
		for _, verb := range []string{"delete", "add"} {
			one, err := f.nft(fmt.Sprintf("%s element ip pods app-%d { %s }\n", verb, app, hereAt(app)))
			if err != nil {
				return nil, err
			}
			took = append(took, one)
		}
	}
	return took, nil
}
