// Package nft reads nftables and takes things out of it, by netlink.
//
// # The world it models
//
// nftables is families of tables, of chains, of rules. A chain that hooks call has what a packet meets; the others are called by rules,
// which lead to them (jump, goto). iptables of today (the nft backend) keeps its tables there as well, by the names nat, filter, mangle:
// what `iptables -t nat -j KUBE-SERVICES` writes is a rule of table ip nat that leads to chain KUBE-SERVICES. A rule has no name but its
// handle, a number that is used once in its table.
//
// # Invariants
//
//   - A removal is one transaction: all of it is done, or nothing.
//   - It is refused if anything of nftables has changed since Read: what is removed is what was shown.
//   - What has not been named is not touched. The kernel refuses to remove a chain that a rule still leads to.
//
// # Example
//
//	rules, err := nft.Read()
//	err = rules.Remove(nil, []nft.Chain{{Family: nft.IPv4, Table: "nat", Name: "KUBE-SERVICES"}})
package nft

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Family says which packets a table is for.
type Family uint8

// The families of IP.
const (
	IPv4 = Family(unix.NFPROTO_IPV4)
	IPv6 = Family(unix.NFPROTO_IPV6)
)

// String is the family as nft writes it.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "ip"
	case IPv6:
		return "ip6"
	}
	return fmt.Sprintf("family %d", uint8(f))
}

// Table is a table by its name.
type Table struct {
	Family Family
	Name   string
}

// Chain is a chain by its name.
type Chain struct {
	Family      Family
	Table, Name string
}

func (c Chain) String() string { return fmt.Sprintf("%s %s %s", c.Family, c.Table, c.Name) }

// Rule is a rule that leads to another chain of its table.
type Rule struct {
	Chain
	Handle uint64
	To     string
}

// Rules are what nftables had at one moment.
type Rules struct {
	Tables     []Table
	Chains     []Chain
	generation uint32
}

// ErrChanged says that nftables are not as they were.
var ErrChanged = errors.New("another program has changed nftables meanwhile: repeat it")

// Read lists tables and chains of the network namespace that the caller is in. A kernel without nftables has none.
func Read() (Rules, error) {
	var r Rules
	s, err := open()
	if err != nil {
		return r, err
	}
	defer s.close()
	for range 10 { // what changes while it is read is read again
		if r, err = s.all(); !errors.Is(err, ErrChanged) {
			break
		}
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return Rules{}, nil
	}
	if err != nil {
		return r, fmt.Errorf("read nftables: %w", err)
	}
	return r, nil
}

// Leading lists the rules of a table that lead to other chains of it.
func (t Table) Leading() (list []Rule, err error) {
	s, err := open()
	if err != nil {
		return nil, err
	}
	defer s.close()
	for range 10 {
		if list, err = s.leading(t); !errors.Is(err, ErrChanged) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the rules of table %s %s of nftables: %w", t.Family, t.Name, err)
	}
	return list, nil
}

// Remove takes out tables with all that they have, these rules, and chains with all rules that they have, in one transaction.
func (r Rules) Remove(tables []Table, rules []Rule, chains []Chain) error {
	s, err := open()
	if err != nil {
		return err
	}
	defer s.close()
	b := batch{}
	b.begin(r.generation)
	for _, one := range rules {
		b.add(unix.NFT_MSG_DELRULE, one.Family, text(unix.NFTA_RULE_TABLE, one.Table), text(unix.NFTA_RULE_CHAIN, one.Name), number64(unix.NFTA_RULE_HANDLE, one.Handle))
	}
	for _, c := range chains { // first the rules of all, since they lead from one to the other
		b.add(unix.NFT_MSG_DELRULE, c.Family, text(unix.NFTA_RULE_TABLE, c.Table), text(unix.NFTA_RULE_CHAIN, c.Name))
	}
	for _, c := range chains {
		b.add(unix.NFT_MSG_DELCHAIN, c.Family, text(unix.NFTA_CHAIN_TABLE, c.Table), text(unix.NFTA_CHAIN_NAME, c.Name))
	}
	for _, t := range tables {
		b.add(unix.NFT_MSG_DELTABLE, t.Family, text(unix.NFTA_TABLE_NAME, t.Name))
	}
	if err := s.commit(&b); err != nil {
		return fmt.Errorf("change nftables: %w", err)
	}
	return nil
}
