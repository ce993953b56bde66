-- question: What could ingest not read, where does it stand, and why?
-- about: A file that lacks a column without which less is known of its records is named once, with no bytes.
-- about: The bytes themselves are kept in the store. Offsets count within the decompressed file.
-- column file text : the file
-- column byte_offset integer : where the stretch begins
-- column byte_length integer : how long it is
-- column reason text : what is wrong with it
SELECT file, byte_offset, byte_length, reason
FROM quarantine
ORDER BY file, byte_offset
