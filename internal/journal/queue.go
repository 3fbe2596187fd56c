package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Paths of what source/cni and weft-cni keep on disk, below the state folder.
const (
	StateDir    = "/var/lib/weft"
	Attachments = "attachments"
	Deletes     = "cni-deletes"
)

// Queue is the folder of CNI DELs that came while the agent was away, T being a call of weft-cni, which puts them; the agent takes them.
func Queue[T any](stateDir string) Dir[T] {
	return Dir[T]{Path: strings.TrimSuffix(stateDir, "/") + "/" + Deletes}
}

// Name is the record name of an attachment, the same for every call: the container ID, a dash and the interface, in
// which whatever is not a letter, digit, dot or underscore is written %XX. So the last dash always divides the two. An
// ID too long for a file name is replaced by its hash; the record itself holds the ID.
func Name(containerID, ifname string) string {
	const longest = 160
	if len(containerID) > longest {
		hash := sha256.Sum256([]byte(containerID))
		containerID = "sha256." + hex.EncodeToString(hash[:])
	}
	return escape(containerID, "-") + "-" + escape(ifname, "")
}

func escape(text, also string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '.' && i > 0, strings.IndexByte(also, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return b.String()
}
