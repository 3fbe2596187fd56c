package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/install/nft"
)

// Legacy is a table of iptables that is not kept in nftables.
type Legacy struct {
	Family nft.Family
	Table  string
	Chains int // of kube-proxy
}

// Options of sockets by which iptables-legacy reads a table, the same in both families, and where things are in their answers:
// linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h.
const (
	optionInfo    = 64 // IPT_SO_GET_INFO
	optionEntries = 65 // IPT_SO_GET_ENTRIES

	tableName  = 32 // XT_TABLE_MAXNAMELEN
	infoSize   = tableName + 4 + 5*4 + 5*4 + 4 + 4
	infoTotal  = infoSize - 4
	entriesAt  = tableName + 8 // aligned to 8
	targetName = 2             // in a target: after its size
	chainName  = 32            // the same of a target of kind ERROR: after the head of a target
)

// kinds are the families: who is asked, where they list their tables, and where an entry says where its target and the next entry are.
var kinds = []struct {
	family        nft.Family
	domain, level int
	list          string
	offsets       int
}{
	{nft.IPv4, unix.AF_INET, unix.SOL_IP, "ip_tables_names", 84 + 4},
	{nft.IPv6, unix.AF_INET6, unix.SOL_IPV6, "ip6_tables_names", 136 + 4},
}

// legacy lists the tables that have chains of a kube-proxy. Only tables that are in use are asked: the kernel would make the others.
func legacy() (list []Legacy, err error) {
	for _, k := range kinds {
		names, err := os.ReadFile("/proc/thread-self/net/" + k.list)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue // the kernel has no such tables, or they are not for us
		}
		if err != nil {
			return nil, fmt.Errorf("list tables of iptables-legacy: %w", err)
		}
		for name := range strings.FieldsSeq(string(names)) {
			entries, err := read(k.domain, k.level, name)
			if err != nil {
				return nil, fmt.Errorf("read table %s of iptables-legacy (%s): %w", name, k.family, err)
			}
			if n := proxys(entries, k.offsets); n > 0 {
				list = append(list, Legacy{k.family, name, n})
			}
		}
	}
	return list, nil
}

// read gives the entries of a table.
func read(domain, level int, table string) ([]byte, error) {
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) // any socket does; a raw one would need a capability more
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	info := make([]byte, infoSize)
	copy(info[:tableName-1], table)
	if err := option(fd, level, optionInfo, info); err != nil {
		return nil, err
	}
	size := binary.NativeEndian.Uint32(info[infoTotal:])
	entries := make([]byte, entriesAt+int(size))
	copy(entries[:tableName-1], table)
	binary.NativeEndian.PutUint32(entries[tableName:], size)
	if err := option(fd, level, optionEntries, entries); err != nil { // EAGAIN: another program has changed it
		return nil, err
	}
	return entries[entriesAt:], nil
}

// option reads an option of a socket whose question is where the answer will be.
func option(fd, level, name int, value []byte) error {
	size := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// proxys counts the chains of a kube-proxy among entries: a chain begins with an entry whose target is ERROR and has the chain's name.
func proxys(entries []byte, offsets int) (n int) {
	for len(entries) >= offsets+4 {
		target, next := int(binary.NativeEndian.Uint16(entries[offsets:])), int(binary.NativeEndian.Uint16(entries[offsets+2:]))
		if next <= target || next > len(entries) {
			return n
		}
		if t := entries[target:next]; len(t) > chainName && cString(t[targetName:chainName-1]) == "ERROR" && isProxys(cString(t[chainName:])) {
			n++
		}
		entries = entries[next:]
	}
	return n
}

func cString(b []byte) string {
	before, _, _ := bytes.Cut(b, []byte{0})
	return string(before)
}
