def to_record(letter, prefix):
    return (letter.key, letter.value, [("reason", letter.reason.encode())])
