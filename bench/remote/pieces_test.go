package remote

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// goldenTally is what testdata/rsyncd.log holds: a log of rsync 3.5.0 with uploads,
// a download, refusals, transfers that broke, and, at its end, a line that is not
// yet whole.
var goldenTally = tally{connections: 4, begun: 7, ended: 3, bytes: 52 + 3000928 + 17 + 145 + 3001061 + 95}

func TestTally(t *testing.T) {
	text, err := os.ReadFile("testdata/rsyncd.log")
	if err != nil {
		t.Fatal(err)
	}
	var got tally
	used, err := got.add(text)
	if err != nil || got != goldenTally {
		t.Errorf("got %+v, %v, want %+v", got, err, goldenTally)
	}
	if rest := string(text[used:]); rest != "2026/11/22 19:40:55 [4370] rsync to c/ from UNDET" {
		t.Errorf("the rest is %q", rest)
	}
}

// TestLogReader: the log arrives in pieces that end anywhere.
func TestLogReader(t *testing.T) {
	text, err := os.ReadFile("testdata/rsyncd.log")
	if err != nil {
		t.Fatal(err)
	}
	l := &logReader{path: filepath.Join(t.TempDir(), "log")}
	if got, err := l.read(); err != nil || got != (tally{}) {
		t.Errorf("no log yet: %+v, %v", got, err)
	}
	f, err := os.Create(l.path)
	if err != nil {
		t.Fatal(err)
	}
	var got tally
	for i := 0; i < len(text); i += 37 {
		if _, err := f.Write(text[i:min(i+37, len(text))]); err != nil {
			t.Fatal(err)
		}
		if got, err = l.read(); err != nil {
			t.Fatal(err)
		}
	}
	if got != goldenTally {
		t.Errorf("got %+v, want %+v", got, goldenTally)
	}
	if _, err := f.WriteString("ERMINED (127.0.0.1)\n"); err != nil {
		t.Fatal(err)
	}
	if got, err = l.read(); err != nil || got.begun != goldenTally.begun+1 {
		t.Errorf("the last line is whole: %+v, %v", got, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTallyRefusesNonsense(t *testing.T) {
	var got tally
	line := "2026/11/22 19:40:54 [4362] sent 99999999999999999999 bytes  received 95 bytes  total size 3\n"
	if _, err := got.add([]byte(line)); err == nil {
		t.Errorf("a number beyond 64 bits is accepted: %+v", got)
	}
}

// message is a netlink message about a socket.
func message(family byte, at netip.AddrPort, cookie uint64, attrs ...[]byte) []byte {
	msg := make([]byte, unix.NLMSG_HDRLEN+messageSize)
	body := msg[unix.NLMSG_HDRLEN:]
	body[0] = family
	binary.BigEndian.PutUint16(body[portAt:], at.Port())
	copy(body[sourceAt:], at.Addr().AsSlice())
	binary.NativeEndian.PutUint64(body[cookieAt:], cookie)
	for _, a := range attrs {
		msg = append(msg, a...)
	}
	binary.NativeEndian.PutUint32(msg, uint32(len(msg)))
	binary.NativeEndian.PutUint16(msg[4:], byFamily)
	return msg
}

// attribute is one of type kind, filled up to 4 bytes.
func attribute(kind uint16, data []byte) []byte {
	a := make([]byte, unix.SizeofRtAttr, unix.SizeofRtAttr+len(data)+3)
	binary.NativeEndian.PutUint16(a, uint16(unix.SizeofRtAttr+len(data)))
	binary.NativeEndian.PutUint16(a[2:], kind)
	a = append(a, data...)
	return append(a, make([]byte, align(len(data))-len(data))...)
}

func info(acked, received uint64, size int) []byte {
	b := make([]byte, size)
	binary.NativeEndian.PutUint64(b[ackedAt:], acked)
	binary.NativeEndian.PutUint64(b[receivedAt:], received)
	return b
}

// control is a netlink message that ends an answer.
func control(kind uint16, code int32) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+4)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint32(b[unix.NLMSG_HDRLEN:], uint32(code))
	return b
}

func TestParseSockets(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:8730")
	other := netip.MustParseAddrPort("127.0.0.2:8730")
	good := message(unix.AF_INET, at, 7, attribute(5, []byte("cubic\x00")), attribute(attrInfo, info(20, 300, 280)))
	second := message(unix.AF_INET, at, 8, attribute(attrInfo, info(1, 2, 280)))
	tests := map[string]struct {
		buf  []byte
		want []socket
	}{
		"one":                    {good, []socket{{7, 320}}},
		"two":                    {slices.Concat(good, second), []socket{{7, 320}, {8, 3}}},
		"before the end":         {slices.Concat(second, control(unix.NLMSG_DONE, 0)), []socket{{8, 3}}},
		"another address":        {message(unix.AF_INET, other, 7, attribute(attrInfo, info(1, 2, 280))), nil},
		"another family":         {message(unix.AF_INET6, at, 7, attribute(attrInfo, info(1, 2, 280))), nil},
		"no figures":             {message(unix.AF_INET, at, 7), nil},
		"a kernel without them":  {message(unix.AF_INET, at, 7, attribute(attrInfo, make([]byte, 100))), nil},
		"cut":                    {good[:len(good)-8], nil},
		"a length that is wrong": {append([]byte{3, 0, 0, 0}, good[4:]...), nil},
		"nothing":                {nil, nil},
	}
	for name, tt := range tests {
		if got := parseSockets(tt.buf, at); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}

	if over, err := ends(good); over || err != nil {
		t.Errorf("a socket ends the answer: %t, %v", over, err)
	}
	if over, err := ends(slices.Concat(good, control(unix.NLMSG_DONE, 0))); !over || err != nil {
		t.Errorf("the end of an answer: %t, %v", over, err)
	}
	if over, err := ends(control(unix.NLMSG_ERROR, -int32(unix.ENOENT))); !over || !errors.Is(err, unix.ENOENT) {
		t.Errorf("an error: %t, %v", over, err)
	}
}

func TestLimiter(t *testing.T) {
	l := limiter{perSecond: 1000}
	now := time.Unix(1000, 0)
	steps := []struct {
		after time.Duration
		bytes int
		want  time.Duration
	}{
		{0, 500, 500 * time.Millisecond},
		{0, 500, time.Second}, // another connection's bytes queue behind
		{time.Second, 100, 100 * time.Millisecond},
		{time.Minute, 1000, time.Second}, // rest is not saved up
		{500 * time.Millisecond, 0, 500 * time.Millisecond},
	}
	for i, s := range steps {
		now = now.Add(s.after)
		if got := l.take(s.bytes, now); got != s.want {
			t.Errorf("step %d: %v, want %v", i, got, s.want)
		}
	}
}
