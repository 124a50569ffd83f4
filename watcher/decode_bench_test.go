package watcher

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkDecode takes buffers of 4,096 records apart, as the kernel gives
// them, into the ring and out of it again. BenchmarkQueue/ours is the ring's
// part of it.
func BenchmarkDecode(b *testing.B) {
	for _, kind := range []string{"fanotify", "inotify"} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			var c counters
			r := newRing(2 * benchRecords)
			fan, ino := fanDecoder{ring: r, count: &c}, inoDecoder{ring: r, count: &c}
			decode, buf := fan.decode, fanBuffer()
			if kind == "inotify" {
				decode, buf = ino.decode, inoBuffer()
			}
			for b.Loop() {
				decode(buf, 1)
				r.publish()
				if n := emptyRing(r); n != benchRecords {
					b.Fatalf("%d of %d records", n, benchRecords)
				}
			}
			perRecord(b)
		})
	}
}

// fanBuffer are records of files created, written and closed: 96 or 104 bytes
// each, with ext4's handles.
func fanBuffer() []byte {
	var b bytes.Buffer
	for i := range benchRecords {
		info := fanInfo(unix.FAN_EVENT_INFO_TYPE_DFID_NAME, uint64(i/100), fmt.Sprintf("file-%05d.dat", i))
		info = append(info, fanInfo(unix.FAN_EVENT_INFO_TYPE_FID, uint64(1000+i), "")...)
		mask := []uint64{unix.FAN_CREATE, unix.FAN_MODIFY, unix.FAN_CLOSE_WRITE}[i%3]
		for _, v := range []any{
			uint32(fanMetaLen + len(info)), uint8(unix.FANOTIFY_METADATA_VERSION), uint8(0), uint16(fanMetaLen),
			mask, int32(unix.FAN_NOFD), int32(1), info,
		} {
			put(&b, v)
		}
	}
	return b.Bytes()
}

// fanInfo is one info of a record: a handle of 8 bytes, and a name unless it is
// empty.
func fanInfo(typ uint8, handle uint64, name string) []byte {
	tail := []byte(name)
	if name != "" {
		tail = append(tail, make([]byte, 4-len(name)%4)...) // ends in at least one NUL
	}
	var b bytes.Buffer
	for _, v := range []any{
		typ, uint8(0), uint16(fanFidLen + 8 + 8 + len(tail)), uint64(7), // the filesystem
		uint32(8), int32(1), handle, tail,
	} {
		put(&b, v)
	}
	return b.Bytes()
}

// inoBuffer are records of the same changes, 32 bytes each.
func inoBuffer() []byte {
	var b bytes.Buffer
	for i := range benchRecords {
		name := make([]byte, 16)
		copy(name, fmt.Sprintf("file-%05d.dat", i))
		mask := []uint32{unix.IN_CREATE, unix.IN_MODIFY, unix.IN_CLOSE_WRITE}[i%3]
		for _, v := range []any{int32(1 + i/100), mask, uint32(0), uint32(len(name)), name} {
			put(&b, v)
		}
	}
	return b.Bytes()
}

func put(b *bytes.Buffer, v any) {
	if err := binary.Write(b, binary.NativeEndian, v); err != nil {
		panic(err)
	}
}
