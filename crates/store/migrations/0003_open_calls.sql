-- Of open calls there are few, and each start asks for them; closing a call
-- then takes its row out of this index and puts nothing back.
DROP INDEX call_record_by_state;
CREATE INDEX call_record_open ON call_record (node, boot) WHERE state = 'open';
