package request

// StoredMessagesHeader is the metadata key in the trailer of a stream that stores what it is sent,
// under which it says how many messages are stored, however it ended.
const StoredMessagesHeader = "x-gatehouse-stored-messages"
