package mirrortest

// operation is one kind of step. do adds no part to the log line if the tree
// has nothing it could work on; then another one is drawn.
type operation struct {
	name   string
	weight int
	do     func(*History)
}

var operations = []operation{
	{"create", 10, opCreate},
	{"overwrite", 5, opOverwrite},
	{"overwrite same size", 6, opSameSize},
	{"overwrite unseen", 6, opUnseen},
	{"overwrite and date", 7, opDated},
	{"rewrite", 3, opRewrite},
	{"append", 4, opAppend},
	{"truncate", 4, opTruncate},
	{"sparse write", 2, opSparse},
	{"mmap", 3, opMmap},
	{"tmpfile", 2, opTmpfile},
	{"hold", 3, opHold},
	{"write held", 2, opWriteHeld},
	{"close held", 2, opCloseHeld},
	{"atomic save", 6, opAtomicSave},
	{"vim save", 4, opVimSave},
	{"litter", 3, opLitter},
	{"chmod", 5, opChmod},
	{"chown", 4, opChown},
	{"date", 5, opDate},
	{"rename file", 6, opRenameFile},
	{"rename over", 6, opRenameOver},
	{"rename back", 2, opRenameBack},
	{"exchange", 4, opExchange},
	{"unlink", 6, opUnlink},
	{"link", 4, opLink},
	{"write link", 4, opWriteLink},
	{"write hidden", 10, opWriteHidden},
	{"symlink", 4, opSymlink},
	{"fifo", 2, opFifo},
	{"mkdir", 4, opMkdir},
	{"mkdir deep", 4, opMkdirDeep},
	{"copy tree", 2, opCopyTree},
	{"remove all", 4, opRemoveAll},
	{"recreate", 3, opRecreate},
	{"rename dir", 9, opRenameDir},
	{"rename onto empty dir", 3, opRenameOntoEmpty},
	{"swap", 5, opSwap},
	{"chain", 6, opChain},
	{"jumble", 4, opJumble},
	{"dir to file", 2, opDirToFile},
	{"file to dir", 2, opFileToDir},
	{"file to symlink", 2, opFileToSymlink},
	{"symlink to dir", 2, opSymlinkToDir},
	{"move out", 4, opMoveOut},
	{"change outside", 3, opChangeOutside},
	{"move in", 5, opMoveIn},
}

var totalWeight = func() int {
	n := 0
	for _, op := range operations {
		n += op.weight
	}
	return n
}()
